//! The other threads' side of a slab, and the owner's look at what they did.

use crate::engine::slab::ledger::{self, Freer, GROUP, LIVE, Mark};
use crate::engine::slab::{NOBODY, Slab};
use crate::probe::Probe;
use crate::sync::fault::{Fault, planted};
use crate::sync::{self, Ordering};

/// What a thread that is not the owner came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// The free has taken effect.
    Done,
    /// It has, and is the first in this slab since the owner last looked there.
    First,
    /// Look the block up again.
    Again,
    /// The block is not live.
    Rejected,
}

impl From<Mark> for Marked {
    fn from(mark: Mark) -> Marked {
        match mark {
            Mark::Done => Marked::Done,
            Mark::Again => Marked::Again,
            Mark::Rejected => Marked::Rejected,
        }
    }
}

impl Slab {
    /// Another thread frees the block at `address`: marks it, and says on the slab that there is
    /// something to see. `heap` is the address of the thread's heap, or [`NOBODY`].
    ///
    /// Whoever exchanges reads the flag after the mark is set, and must not read it before; the owner clears it, and
    /// then looks at the marks. One of the two sees the other: the same fence stands on both sides.
    ///
    /// The biased freer has no fence there, which would cost as much as an exchange. So it counts its marks, and the owner,
    /// which remembers the count, sees that there were more. It may read a flag that is just being cleared, and tell
    /// nobody; the owner, which knows that it swept, looks again once: see `Own::recheck`. So does, a quarter of a second
    /// later, whoever lets go of a slab that has a biased freer: see `Shared::recheck_abandoned`.
    pub fn mark(&self, heap: usize, address: usize, probe: &impl Probe) -> Marked {
        let start = self.start();
        let offset = address.wrapping_sub(start);
        // A slab that was retired meanwhile and started elsewhere: the address is not in it.
        if offset >= self.bytes {
            return Marked::Again;
        }
        let Some(index) = self.number_at(offset).filter(|&index| index < self.capacity()) else {
            return Marked::Rejected;
        };
        // SAFETY: below the capacity.
        let entry = unsafe { self.entry(index) };
        let by = if self.is_biased_to(heap) { Freer::Biased } else { Freer::Other };
        let count = || {
            let news = self.remote.biased_frees.load(Ordering::Relaxed);
            // Release: pairs with the acquire in `sweep`. Who sees the count sees the mark.
            self.remote.biased_frees.store(news.wrapping_add(1), Ordering::Release);
        };
        if by == Freer::Biased && planted(Fault::CountEarly) {
            count();
        }
        let mark = entry.mark(by, || {
            probe.pause();
            // Acquire: pairs with the fence in `start_at`. If *local* was that of the slab's next life,
            // so is the start.
            if !planted(Fault::MarkAsksEarly) {
                sync::fence(Ordering::Acquire);
            }
            self.start() == start || planted(Fault::MarkElsewhere)
        });
        if mark != Mark::Done {
            return Marked::from(mark);
        }
        match by {
            Freer::Biased if planted(Fault::CountEarly) || planted(Fault::MarkUnflagged) => {}
            Freer::Biased => {
                count();
                sync::fence_for_the_compiler();
            }
            Freer::Other if planted(Fault::MarkUnfenced) => {}
            Freer::Other => sync::fence_after_rmw(),
        }
        if self.remote.flag.load(Ordering::Relaxed) || planted(Fault::MarkUnflagged) {
            return Marked::Done;
        }
        // An exchange, for the fence behind it: whoever raises the flag looks at the owner next, and one that
        // leaves the slab writes there first and looks at the flag then (`Engine::abandon_slabs`).
        let raised = self.remote.flag.swap(true, Ordering::Relaxed);
        if !planted(Fault::FlagUnfenced) {
            sync::fence_after_rmw();
        }
        if raised { Marked::Done } else { Marked::First }
    }

    /// Whether the heap at `heap` is the biased freer, or becomes it here.
    #[inline]
    fn is_biased_to(&self, heap: usize) -> bool {
        // Acquire: pairs with the release in `shared::grace_is_over`, so that the marks of a biased freer before are seen, and, in
        // the exchange, with the one in `retire`.
        let biased_to = self.biased_to.load(Ordering::Acquire);
        let becomes = || {
            self.biased_to
                .compare_exchange(NOBODY, heap, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        };
        heap != NOBODY
            && (biased_to == heap || biased_to == NOBODY && becomes() || planted(Fault::AllBiased))
    }

    /// Whether another thread has marked a block here since the last sweep began.
    ///
    /// # Safety
    /// The calling thread owns the slab, or has the span lock and nobody owns it.
    #[inline]
    pub unsafe fn flagged(&self) -> bool {
        let news = self.remote.biased_frees.load(Ordering::Relaxed);
        // SAFETY: as the caller promises.
        self.remote.flag.load(Ordering::Relaxed)
            || news != unsafe { self.local.look(|l| l.seen_biased) }
    }

    /// Takes back what others freed: those blocks are on the list afterwards, the lowest first. `late` is
    /// called with the address of each block that was free already. Returns how many came back.
    ///
    /// # Safety
    /// The calling thread owns the slab, or has the span lock and nobody owns it.
    pub unsafe fn sweep(&self, mut late: impl FnMut(usize)) -> usize {
        self.remote.flag.store(false, Ordering::Relaxed);
        // Pairs with the fence in `mark`.
        if !planted(Fault::SweepUnfenced) {
            sync::fence(Ordering::SeqCst);
        }
        // Acquire: pairs with the release in `mark`.
        let news = self.remote.biased_frees.load(Ordering::Acquire);
        // SAFETY: as the caller promises; blocks below `carved` have entries, and a ledger's memory is whole groups.
        unsafe {
            let (carved, base, size, first) = self.local.with(|local| {
                local.seen_biased = news;
                (usize::from(local.carved), local.base, local.size, local.head)
            });
            let (mut head, mut back) = (first, 0);
            for group in (0..carved.div_ceil(GROUP)).rev() {
                let entries = group * GROUP;
                if !ledger::any_returned(self.entry(entries)) {
                    continue;
                }
                for index in (entries..carved.min(entries + GROUP)).rev() {
                    let entry = self.entry(index);
                    // What the freeing thread did to the block is over, if it is marked.
                    let marks = entry.marks();
                    let mut frees = marks.count();
                    if frees == 0 {
                        continue;
                    }
                    if entry.local() == LIVE {
                        entry.set_local(head);
                        head = index as u16 + 1;
                        back += 1;
                        frees -= 1;
                    }
                    if !planted(Fault::SweepSilent) {
                        (0..frees).for_each(|_| late(base + (index + 1) * size));
                    }
                    entry.clear(marks);
                }
            }
            if back > 0 {
                self.local.with(|local| {
                    local.set_head(head);
                    local.more -= back as i32;
                });
            }
            back
        }
    }

    /// Tells of marks that came after the slab's end: misuses, all of them, since no block was live. `late` as in
    /// [`sweep`](Self::sweep).
    ///
    /// # Safety
    /// The slab has ended, and the caller has the span lock.
    pub unsafe fn judge_end(&self, mut late: impl FnMut(usize)) {
        let (start, size) = (self.start(), self.size);
        for first in (0..self.capacity()).step_by(GROUP) {
            // SAFETY: below the capacity; a ledger's memory is whole groups.
            unsafe {
                if !ledger::any_returned(self.entry(first)) {
                    continue;
                }
                for index in first..self.capacity().min(first + GROUP) {
                    let entry = self.entry(index);
                    let marks = entry.marks();
                    (0..marks.count()).for_each(|_| late(start + index * size));
                    entry.clear(marks);
                }
            }
        }
    }
}
