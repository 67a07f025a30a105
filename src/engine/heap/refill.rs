//! Where a block comes from when the current slab has none: see the [heap](super).

use core::ptr;

use crate::engine::heap::Own;
use crate::engine::slab::Slab;

/// Full slabs that a refill looks at.
pub const LOOKS: usize = 8;

/// What a heap's own slabs gave when the current one of a class had no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    /// Nothing.
    None,
    /// The current slab is one that should have free blocks, and they may hold anything: look again.
    Reused,
    /// The current slab's free blocks were just carved: of a clean slab they are zero.
    Fresh,
}

/// [`Refill::Fresh`], if any block was carved.
pub fn fresh(carved: usize) -> Refill {
    if carved > 0 { Refill::Fresh } else { Refill::None }
}

impl Own {
    /// A slab of this heap with a block on its list, or with blocks to be carved, made current: steps 1
    /// to 4. `double_freed` hears of every
    /// block that was freed while it was free.
    ///
    /// # Safety
    /// The calling thread owns the heap.
    pub unsafe fn refill(&mut self, class: usize, mut double_freed: impl FnMut(usize)) -> Refill {
        self.refills = self.refills.wrapping_add(1);
        // SAFETY: the owner's slabs throughout; `nothing` is never flagged and has nothing uncarved.
        unsafe {
            let current = self.current[class];
            if (*current).flagged() {
                self.recheck = true;
                if (*current).sweep(&mut double_freed) > 0 {
                    return Refill::Reused;
                }
            }
            let partial = self.partial[class].first;
            if !partial.is_null() && (*partial).local.with(|local| local.has_free()) {
                self.unlist(partial);
                self.make_current(partial);
                return Refill::Reused;
            }
            if let Some(empty) = self.empty_of(class) {
                self.unlist(empty);
                self.make_current(empty);
                return match (*empty).local.with(|local| local.has_free()) {
                    true => Refill::Reused,
                    false => fresh((*empty).carve()),
                };
            }
            if (*current).carve() > 0 {
                return Refill::Fresh;
            }
            if !partial.is_null() {
                self.unlist(partial);
                self.make_current(partial);
                return fresh((*partial).carve());
            }
            let Some(found) = self.look_at_full(class, &mut double_freed) else {
                return Refill::None;
            };
            self.unlist(found);
            self.make_current(found);
            Refill::Reused
        }
    }

    /// The slab with the most free blocks of the first [`LOOKS`] full ones, whose turn comes last from now on.
    ///
    /// # Safety
    /// The calling thread owns the heap.
    unsafe fn look_at_full(
        &mut self,
        class: usize,
        double_freed: &mut impl FnMut(usize),
    ) -> Option<*const Slab> {
        let (mut best, mut most) = (ptr::null(), 0);
        let mut slab = self.full[class].first;
        for _ in 0..LOOKS {
            if slab.is_null() {
                break;
            }
            // SAFETY: the owner's slabs.
            unsafe {
                if (*slab).flagged() {
                    self.recheck = true;
                    (*slab).sweep(&mut *double_freed);
                }
                let (free, next) = (*slab).local.with(|local| (local.free(), local.next));
                if free > most {
                    (best, most) = (slab, free);
                }
                slab = next;
            }
        }
        // SAFETY: `slab`, if there is one, is on the list and not the first.
        unsafe { self.full[class].rotate_to(slab) };
        (most > 0).then_some(best)
    }

    /// The youngest empty slab of `class`.
    fn empty_of(&self, class: usize) -> Option<*const Slab> {
        let mut slab = self.empties.first;
        while !slab.is_null() {
            // SAFETY: the owner's slabs.
            unsafe {
                if (*slab).class() == class {
                    return Some(slab);
                }
                slab = (*slab).local.with(|local| local.next);
            }
        }
        None
    }
}
