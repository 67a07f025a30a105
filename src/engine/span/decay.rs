//! When the pages of free spans go back.

use core::ptr;

use crate::engine::classes::UNIT;
use crate::engine::span::{EXACT, Pages, Spans, Unit};
use crate::os::Os;

/// Dirty free units that are never too many: 16 MiB.
const IDLE_UNITS: usize = 256;

/// Milliseconds in which idle dirty memory is halved.
pub const DECAY: u64 = 250;

impl Spans {
    /// Dirty free units that may wait for their next use: 16 MiB, or an eighth of what is in use.
    pub fn bound(&self) -> usize {
        IDLE_UNITS.max((self.units - self.free) / 8)
    }

    /// Halves what is idle, if [`DECAY`] has passed since that was last done.
    pub fn decay<O: Os>(&mut self, os: &O) {
        let now = os.milliseconds();
        if now - self.decayed >= DECAY {
            let periods = ((now - self.decayed) / DECAY).min(63);
            self.decayed = now;
            let left = self.dirty >> periods;
            self.purge(os, if left < 4 { 0 } else { left });
        }
    }

    /// Gives pages of free units back until at most `left` dirty ones are left, from the longest
    /// spans on. Returns how many units went.
    pub fn purge<O: Os>(&mut self, os: &O, left: usize) -> usize {
        let before = self.dirty;
        'all: for list in (0..=EXACT).rev() {
            let mut span = self.lists[list];
            while !span.is_null() {
                if self.dirty <= left {
                    break 'all;
                }
                // SAFETY: lists hold heads of free spans.
                unsafe {
                    if !self.purge_span(os, span) {
                        break 'all; // it failed: no sense in asking on
                    }
                    span = (*span).next;
                }
            }
        }
        let went = before - self.dirty;
        self.purged += went as u64;
        went
    }

    /// # Safety
    /// `head` is that of a free span.
    unsafe fn purge_span<O: Os>(&mut self, os: &O, head: *mut Unit) -> bool {
        // SAFETY: the records of the span follow its head; nobody refers to what is in a free span.
        unsafe {
            let length = (*head).length as usize;
            let mut unit = 0;
            while unit < length {
                let from = unit;
                while unit < length && (*head.add(unit)).is_dirty() {
                    unit += 1;
                }
                if unit == from {
                    unit += 1;
                    continue;
                }
                let start = ptr::with_exposed_provenance_mut(self.address(head) + from * UNIT);
                if !os.decommit(start, (unit - from) * UNIT) {
                    return false;
                }
                for clean in from..unit {
                    (*head.add(clean)).pages = Pages::Cleared;
                }
                self.dirty -= unit - from;
            }
            true
        }
    }
}
