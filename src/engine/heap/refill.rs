//! Where a block comes from when the current slab has none: see the [heap](super).

use crate::engine::heap::Own;
use crate::engine::slab::owned::OwnedSlab;

/// Full slabs that a refill looks at.
pub const LOOKS: usize = 8;

/// What a heap's own slabs gave when the current one of a class had no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    /// Nothing.
    None,
    /// The current slab is one that should have free blocks, and they may hold anything: look
    /// again.
    Reused,
    /// The current slab's free blocks were just carved: of a clean slab they are zero.
    Fresh,
}

/// [`Refill::Fresh`], if any block was carved.
pub fn fresh(carved: usize) -> Refill {
    if carved > 0 { Refill::Fresh } else { Refill::None }
}

impl Own {
    /// Makes a slab of this heap with a block on its list, or with blocks to be carved, the current
    /// one: steps 1 to 4. `double_freed` hears of every block that was freed while it was free.
    pub fn refill(&mut self, class: usize, mut double_freed: impl FnMut(usize)) -> Refill {
        self.refills = self.refills.wrapping_add(1);
        // The placeholder is never flagged and has nothing to be carved.
        let current = self.current[class];
        if current.flagged() {
            self.recheck = true;
            if current.sweep(&mut double_freed) > 0 {
                return Refill::Reused;
            }
        }
        let partial = self.partial[class].first();
        if let Some(partial) = partial.filter(|partial| partial.has_free()) {
            self.unlist(partial);
            self.make_current(partial);
            return Refill::Reused;
        }
        if let Some(empty) = self.empty_of(class) {
            self.unlist(empty);
            self.make_current(empty);
            return match empty.has_free() {
                true => Refill::Reused,
                false => fresh(empty.carve()),
            };
        }
        if current.carve() > 0 {
            return Refill::Fresh;
        }
        if let Some(partial) = partial {
            self.unlist(partial);
            self.make_current(partial);
            return fresh(partial.carve());
        }
        let Some(found) = self.look_at_full(class, &mut double_freed) else {
            return Refill::None;
        };
        self.unlist(found);
        self.make_current(found);
        Refill::Reused
    }

    /// The slab with the most free blocks of the first [`LOOKS`] full ones, whose turn comes last
    /// from now on.
    fn look_at_full(
        &mut self,
        class: usize,
        double_freed: &mut impl FnMut(usize),
    ) -> Option<OwnedSlab> {
        let (mut best, mut most) = (None, 0);
        let mut next = self.full[class].first();
        for _ in 0..LOOKS {
            let Some(slab) = next else { break };
            if slab.flagged() {
                self.recheck = true;
                slab.sweep(&mut *double_freed);
            }
            if slab.free_blocks() > most {
                (best, most) = (Some(slab), slab.free_blocks());
            }
            next = slab.next();
        }
        if let Some(first) = next {
            self.full[class].rotate_to(first);
        }
        best
    }

    /// The youngest empty slab of `class`.
    fn empty_of(&self, class: usize) -> Option<OwnedSlab> {
        let mut next = self.empties.first();
        while let Some(slab) = next {
            if slab.class() == class {
                return Some(slab);
            }
            next = slab.next();
        }
        None
    }
}
