//! What a slab says of itself: its live blocks, and whether its invariants hold.

use crate::engine::slab::ledger::{END, LIVE, UNCARVED, WAITING};
use crate::engine::slab::{Place, Slab};

impl Slab {
    /// Live blocks, by the ledger: exact while nobody allocates or frees, a good guess otherwise.
    pub fn live(&self) -> usize {
        (0..self.capacity())
            // SAFETY: below the capacity.
            .map(|index| unsafe { self.entry(index) })
            .filter(|entry| entry.local() == LIVE && !entry.returned())
            .count()
    }

    /// Names the first invariant of list and ledger that does not hold.
    ///
    /// # Safety
    /// The calling thread owns the slab, or has the span lock and nobody owns it.
    pub unsafe fn check(&self) -> Result<(), &'static str> {
        // SAFETY: as the caller promises.
        unsafe {
            self.local.with(|local| {
                let carved = usize::from(local.carved);
                if carved > self.capacity() {
                    return Err("a slab has no more blocks than its capacity");
                }
                let (mut free, mut next) = (0, local.head);
                if next != END && local.top != local.base + usize::from(next) * local.size {
                    return Err("a slab knows the address of its first free block");
                }
                while next != END {
                    if next == 0 || usize::from(next) > carved || free > carved {
                        return Err("a free list holds carved blocks only, each once");
                    }
                    free += 1;
                    next = self.numbered(usize::from(next)).local();
                }
                let (mut used, mut uncarved) = (0, 0);
                for index in 0..self.capacity() {
                    match self.entry(index).local() {
                        LIVE | WAITING => used += 1,
                        UNCARVED => uncarved += 1,
                        _ => {}
                    }
                }
                if free + used != carved || uncarved != self.capacity() - carved {
                    return Err("every carved block is live or on its slab's list");
                }
                if local.place != Place::Current && local.more != used as i32 - 1 + local.extra() {
                    return Err("a slab counts the blocks that are not on its list");
                }
                Ok(())
            })
        }
    }
}
