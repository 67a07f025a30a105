//! Where a slab has no live block.

use crate::engine::slab::ledger::{LIVE, WAITING};
use crate::engine::slab::owned::OwnedSlab;

impl OwnedSlab {
    /// Calls `f` with the address and the bytes of each run of blocks that are free or uncarved;
    /// with the last block goes the tail behind it.
    /// Nobody refers to their bytes: the list of free blocks is in the ledger. Called by the slab's
    /// owner, or, while it has none, under the span lock.
    pub fn idle_runs(self, mut f: impl FnMut(usize, usize)) {
        let (start, size, capacity) = (self.start(), self.size, self.capacity());
        let mut first = 0;
        for index in 0..=capacity {
            // A block that another thread returned counts as live until a sweep has seen it.
            let ends = index == capacity || {
                // SAFETY: an index below the capacity.
                let local = unsafe { self.entry(index) }.local();
                local == LIVE || local == WAITING
            };
            if ends {
                if first < index {
                    let end = if index == capacity { self.bytes } else { index * size };
                    f(start + first * size, end - first * size);
                }
                first = index + 1;
            }
        }
    }
}
