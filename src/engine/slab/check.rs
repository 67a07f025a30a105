//! What a slab says of itself: its live blocks, and whether its invariants hold.

use crate::engine::slab::ledger::{END, LIVE, UNCARVED, WAITING};
use crate::engine::slab::owned::OwnedSlab;
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
}

impl OwnedSlab {
    /// Names the first invariant of list and ledger that does not hold.
    pub fn check(self) -> Result<(), &'static str> {
        self.look(|local| {
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
                // SAFETY: between 1 and `carved`, as was just seen.
                next = unsafe { self.numbered(usize::from(next)) }.local();
            }
            let (mut used, mut uncarved) = (0, 0);
            for index in 0..self.capacity() {
                // SAFETY: below the capacity.
                match unsafe { self.entry(index) }.local() {
                    LIVE | WAITING => used += 1,
                    UNCARVED => uncarved += 1,
                    _ => {}
                }
            }
            if used as usize + free != carved || carved + uncarved != self.capacity() {
                return Err("every carved block is live or on its slab's list");
            }
            if local.place != Place::Current && local.countdown + 1 != used - local.move_at() {
                return Err("a slab counts the blocks that are not on its list");
            }
            Ok(())
        })
    }
}
