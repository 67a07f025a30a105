//! Spans out and in again.

use core::ptr;

use crate::engine::span::{EXACT, Pages, Span, Spans, Unit};
use crate::os::Os;
use crate::sync::step;

impl Spans {
    /// A span of `units` units: the shortest free one that holds them, split. `None` when the OS
    /// has no more.
    pub fn allocate<O: Os>(&mut self, os: &O, units: usize) -> Option<Span> {
        let found = match self.best_fit(units) {
            Some(found) => found,
            None => {
                self.grow(os, units)?;
                self.best_fit(units)?
            }
        };
        // SAFETY: a free span's head, and the records of its units follow it.
        unsafe {
            if !self.commit(os, found, units) {
                return None;
            }
            self.unlink(found);
            let length = (*found).length as usize;
            if length > units {
                self.insert(found.add(units), length - units);
            }
            self.mark_used(found, units);
            let mut dirty = 0;
            for unit in 0..units {
                dirty += usize::from((*found.add(unit)).is_dirty());
            }
            self.free -= units;
            self.dirty -= dirty;
            Some(Span { start: self.address(found), clean: dirty == 0 })
        }
    }

    /// Takes back the used span of `units` units at `start`, whose pages may be dirty.
    pub fn free<O: Os>(&mut self, os: &O, start: usize, units: usize, dirty: bool) {
        let unit = self.unit_at(start).expect("spans lie in arenas");
        // SAFETY: the head of a used span of that length; guards stand at both ends of the records,
        // so the records before and behind exist; neighbours that are free are whole spans.
        unsafe {
            for index in 0..units {
                let record = &mut *unit.add(index);
                if dirty {
                    record.pages = Pages::Dirty;
                } else if record.pages == Pages::Untouched {
                    record.pages = Pages::Cleared;
                }
                self.dirty += usize::from(record.is_dirty());
            }
            self.free += units;
            let (mut head, mut length) = (unit, units);
            // In a forked child the span is free from here on, and must be known to be dirty.
            step();
            (*head).slab = ptr::null();
            let before = unit.sub(1);
            if (*before).free {
                head = unit.sub((*before).length as usize);
                length += (*before).length as usize;
                self.unlink(head);
            }
            let behind = unit.add(units);
            if (*behind).free {
                length += (*behind).length as usize;
                self.unlink(behind);
            }
            self.insert(head, length);
        }
        if self.dirty > self.bound() {
            self.purge(os, self.bound() / 2);
        }
    }

    /// The free span that fits best: the shortest, and among equals the last freed.
    fn best_fit(&self, units: usize) -> Option<*mut Unit> {
        if units <= EXACT {
            let fitting = self.some >> (units - 1) << (units - 1);
            if fitting != 0 {
                return Some(self.lists[fitting.trailing_zeros() as usize]);
            }
        }
        let mut best: Option<*mut Unit> = None;
        let mut span = self.lists[EXACT];
        while !span.is_null() {
            // SAFETY: lists hold heads of free spans.
            unsafe {
                let length = (*span).length as usize;
                if length >= units && best.is_none_or(|best| length < (*best).length as usize) {
                    best = Some(span);
                }
                span = (*span).next;
            }
        }
        best
    }
}
