//! Free spans, made anew from the records: in a forked child, where a vanished thread may have left
//! lists and lengths in mid-change.

use core::ptr;

use crate::engine::classes;
use crate::engine::span::{EXACT, Spans};

impl Spans {
    /// Makes lists, lengths and sums anew: a unit is in use if its record names a slab, or lies
    /// behind one that does, within that slab's span. All others are free.
    pub fn rebuild(&mut self) {
        self.lists = [ptr::null_mut(); EXACT + 1];
        (self.some, self.units, self.free, self.dirty) = (0, 0, 0, 0);
        for index in 0..self.count {
            let arena = self.arenas[index];
            let (mut unit, mut free) = (0, 0);
            while unit < arena.units {
                // SAFETY: a record of the arena. A record names a slab only from when its span was
                // allocated for that slab, of so many units, until it is given back: both under
                // the lock. Headers live as long as the engine.
                unsafe {
                    let record = arena.records.add(unit);
                    let slab = (*record).slab;
                    if slab.is_null() {
                        self.dirty += usize::from((*record).is_dirty());
                        (unit, free) = (unit + 1, free + 1);
                        continue;
                    }
                    self.end_run(record, free);
                    let length = classes::units((*slab).class());
                    self.mark_used(record, length);
                    (*record).slab = slab;
                    (unit, free) = (unit + length, 0);
                }
            }
            // SAFETY: the guard behind the last record.
            self.end_run(unsafe { arena.records.add(unit) }, free);
            self.units += arena.units;
        }
    }

    /// For tests: lists, lengths and sums that mean nothing.
    #[cfg(test)]
    pub fn scramble(&mut self) {
        self.lists.reverse();
        (self.some, self.units, self.free, self.dirty) = (!0, 1, 2, 3);
        for arena in &self.arenas[..self.count] {
            for unit in 0..arena.units {
                // SAFETY: a record of the arena.
                let record = unsafe { &mut *arena.records.add(unit) };
                (record.length, record.free) = (unit as u32 % 7, !record.free);
            }
        }
    }

    /// Lists the `length` units before `behind`, all free, as a span, if there are any.
    fn end_run(&mut self, behind: *mut super::Unit, length: usize) {
        if length > 0 {
            self.free += length;
            // SAFETY: the records of units of one arena, on no list.
            unsafe { self.insert(behind.sub(length), length) };
        }
    }
}
