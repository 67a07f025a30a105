//! Whether the invariants of all spans hold.

use core::ptr;

use crate::engine::classes::UNIT;
use crate::engine::span::{EXACT, Spans};

impl Spans {
    /// Walks all arenas and names the first invariant that does not hold.
    pub fn check(&self) -> Result<(), (&'static str, usize)> {
        let (mut free, mut dirty, mut all) = (0, 0, 0);
        let mut broken = None;
        // Where the last span ends, in which arena, and whether it is free.
        let mut last = (0, 0, false);
        self.each(|address, head| {
            let length = head.length as usize;
            all += length;
            if length == 0 {
                broken = Some(("a span has a length", address));
            }
            // Arenas may touch, but no span reaches into another.
            if last == (address, head.arena, true) && head.free {
                broken = Some(("no two free spans are neighbours", address));
            }
            last = (address + length * UNIT, head.arena, head.free);
            if head.free {
                free += length;
                for unit in 0..length {
                    // SAFETY: the records of a span follow its head.
                    dirty += usize::from(unsafe { (*ptr::from_ref(head).add(unit)).is_dirty() });
                }
            }
        });
        if let Some(broken) = broken {
            return Err(broken);
        }
        let mut listed = 0;
        for (list, &first) in self.lists.iter().enumerate() {
            let mut span = first;
            while !span.is_null() {
                // SAFETY: lists hold heads of free spans.
                let (length, is_free, next) =
                    unsafe { ((*span).length as usize, (*span).free, (*span).next) };
                if !is_free || length.min(EXACT + 1) != list + 1 {
                    return Err(("a list holds free spans of its length", span.addr()));
                }
                listed += length;
                span = next;
            }
            if list < EXACT && (self.some >> list & 1 == 1) == first.is_null() {
                return Err(("the bitmap says which lists are empty", list));
            }
        }
        if (all, free, dirty, listed) != (self.units, self.free, self.dirty, self.free) {
            return Err(("the units add up", 0));
        }
        Ok(())
    }
}
