//! What a slab says of itself: its live blocks, and whether its invariants hold.

use crate::engine::slab::ledger::{END, LIVE, UNBORN, WAITING};
use crate::engine::slab::{Place, Slab};

impl Slab {
    /// Live blocks, by the ledger: exact at rest, a good guess otherwise.
    pub fn live(&self) -> usize {
        (0..self.capacity())
            // SAFETY: below the capacity.
            .map(|index| unsafe { self.entry(index) })
            .filter(|entry| entry.mine() == LIVE && !entry.returned())
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
                let born = usize::from(local.born);
                if born > self.capacity() {
                    return Err("a slab has no more blocks than its capacity");
                }
                let (mut free, mut next) = (0, local.head);
                if next != END && local.top != local.base + usize::from(next) * local.size {
                    return Err("a slab knows the address of its first free block");
                }
                while next != END {
                    if next == 0 || usize::from(next) > born || free > born {
                        return Err("a free list holds born blocks only, each once");
                    }
                    free += 1;
                    next = self.numbered(usize::from(next)).mine();
                }
                let (mut taken, mut unborn) = (0, 0);
                for index in 0..self.capacity() {
                    match self.entry(index).mine() {
                        LIVE | WAITING => taken += 1,
                        UNBORN => unborn += 1,
                        _ => {}
                    }
                }
                if free + taken != born || unborn != self.capacity() - born {
                    return Err("every born block is live or on its slab's list");
                }
                if local.place != Place::Current && local.more != taken as i32 - 1 + local.extra() {
                    return Err("a slab counts the blocks that are not on its list");
                }
                Ok(())
            })
        }
    }
}
