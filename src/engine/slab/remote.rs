//! Remote frees: the protocol by which a thread frees a block in a slab that is another's. It is
//! told here, once. Heaps, what they share, and the engine's operations take steps of it too; those
//! are named here by what they do, and point here.
//!
//! # What there is
//! | where | written by | read by | means |
//! |---|---|---|---|
//! | entry, `local` | the owner, plain stores | all | [live, free, uncarved](super::ledger) |
//! | entry, `biased` | set by the biased freer, by a plain store; cleared by the owner | all | freed by the biased freer |
//! | entry, `remote` | set by any other, by an exchange; cleared, and counted on, by the owner | all | freed by another |
//! | slab, `biased_to` | the first other heap that frees here, by an exchange of [`NOBODY`]; reset under the span lock while the slab has no life | all | whose frees are plain stores |
//! | slab, `biased_frees` | the biased freer | owner | how many marks it has set |
//! | slab, `flag` | raised by others, cleared by the owner | both | there is something to sweep |
//! | slab, `owner` | the owner at the end of a life, else who has the span lock | all | heap, [`NOBODY`], [`ABANDONED`](super::ABANDONED) |
//! | slab, `base` | whoever begins a life, under the span lock | all | where the blocks are |
//! | heap, `flagged_slabs` | others, one more for each flag raised; the owner, 0 | owner | how many slabs wait for a sweep |
//! | heap, `at_mark` | the heap's own thread | who begins a slab's life | the thread is at a mark |
//! | heap, `epoch` | the heap's own thread | who ends or begins a slab's life | see *The biased freer* |
//!
//! A *mark* is either bit of an entry. Each byte has one that sets and one that clears it at a
//! time, so no mark is lost to another. A free takes effect at its mark, or, the owner's, at its
//! store of `local`.
//!
//! # A remote free, step by step
//! 1. The entry must be live and without marks; a marked or free block is rejected: a double free,
//!    found at the call.
//! 2. The slab must still begin where it began before the look, else the header has another life:
//!    look the block up again.
//! 3. The mark: by an exchange of the byte that was seen, or, the biased freer's, by a store.
//! 4. The flag is raised, if it is not up; whoever raises it counts on in the owner's
//!    `flagged_slabs`, and looks whether the slab was abandoned meanwhile: if so, it reclaims it.
//!
//! The owner looks at both marks, in one load, before it allocates a block or frees one itself; and
//! it *sweeps* flagged slabs: each marked live block becomes free, and every mark more is a double
//! free, deferred.
//!
//! # Two marks, and marks that come too late
//! Two threads that free at once may each set one; then the owner, which counts them when it takes
//! them back, reports the second. A mark may also land on a block that is free: its thread had
//! looked while it was live. Then it stays there until the block's next allocation, or a sweep, or
//! the slab's end, looks, and is reported.
//!
//! # Why an old exchange harms nobody: the count
//! Another thread reads the entry, then exchanges `remote`. Between the two the owner may have
//! taken the block back for somebody else's free, even given the whole slab back and started a new
//! one in the same ledger. `remote` counts the exchanges that were taken back, and the slab's ends;
//! if it has changed, the exchange fails, and the thread starts over with what is true now. If only
//! the biased freer's mark was taken back, the exchange lands on a free block, and is found late.
//! The count wraps at 128: a thread that frees what is not live, and sleeps between the look and
//! the exchange while the slab ends exactly a multiple of that many times, or the block is freed so
//! often, would free whatever block stands there then.
//!
//! # Why an old store harms nobody: the biased freer
//! Its store has no count to fail by. So a slab that ended begins no other life before its biased
//! freer is known to be past any free that began before the end. It counts every so many of its
//! remote frees, before they begin, in its heap's `epoch`; the end notes that count
//! ([`retire`](super::owned::OwnedSlab::retire)), and the header stays in its *grace period*, with
//! another header in its place, until the count has changed, or the heap is parked, or is the one
//! that needs the header, or its thread has vanished in a fork. Marks that came meanwhile are
//! looked for before the next life, in scans and at exit ([`judge_end`](Slab::judge_end)).
//! `biased_to` changes only then.
//!
//! A biased freer that frees no more does not count on. So when no other header is left, who needs
//! one asks all threads for a fence; then a biased freer that is at no mark, by its heap's word
//! `at_mark`, is past those that began before the end.
//!
//! # Every ordering, and what it pairs with
//! *Twin*: the [fault](crate::sync::fault::Fault) that takes it away, and a model of `tests/loom`
//! that then fails. Where there is none, the span lock or the page map orders the same two threads
//! too.
//!
//! | here | ordering | pairs with | so that | twin |
//! |---|---|---|---|---|
//! | `Entry::mark`, its looks | acquire | `Entry::clear`, `Entry::bump`: release | who sees a mark cleared sees `local` as the owner left it | `MarkAcquiresNothing`, `TakeBackRelaxed` |
//! | `Entry::mark`, exchange and store | release | `Entry::marks`: acquire | what a thread did to the block is over when the owner reuses it | `MarkReleasesNothing`, `SeenRelaxed` |
//! | `Slab::mark`, before it asks for the start | fence, acquire | `start_at`: fence, release | who saw an entry of the next life sees its start | `MarkAsksEarly`, `StartUnfenced` |
//! | `Slab::mark`, exchange, then flag | full fence | `sweep`: flag cleared, full fence, then marks | one of the two sees the other | `MarkUnfenced`, `SweepUnfenced` |
//! | `Slab::mark`, `biased_frees` after the mark | release | `sweep`: acquire, before the marks | who sees the count sees the mark | `CountEarly` |
//! | `Slab::mark`, the flag raised, then `owner` | full fence | the slab is abandoned: `owner`, full fence, then the flag | one of the two sees the other | `FlagUnfenced`, `ReleaseBlind` |
//! | `flagged_slabs` counted on | release | taken by the owner: acquire | what is counted is seen | |
//! | `is_biased_to` | acquire | a grace period ends, `biased_to` reset: release | who becomes the biased freer sees the marks of the one before | |
//! | `is_biased_to`, exchange | acquire | `retire`: an exchange of nothing, release | who becomes the biased freer after the end sees the end | `EndUnclaimed` |
//! | the heap counts `epoch` on | release, full fence behind | `retire`: full fence, then `epoch`; a grace period ends, `epoch` read: acquire | a free that begins after a count that the end has not seen sees the end; the marks of frees before a count are seen with it | `EpochUnfenced`, `EndUnfenced` |
//! | `Slab::mark`, another's exchange, then *biased* | full fence | `judge_pairs`: `biased_frees`, acquire, full fence, then the marks | one of the two sees both marks | `PairUnseen`, `JudgeUnfenced` |
//! | `Slab::mark`, `pair` behind both marks | release | `judge_pairs`: acquire | who sees it sees the marks | |
//! | `at_mark` set, then all looks of the mark | half of a full fence | all threads asked for a fence: the slab's end, the other half, then `at_mark` | one of the two sees the other | `MarkUnannounced` |
//! | `at_mark` cleared | release | `at_mark` read behind that fence: acquire | the marks before are seen | |
//! | `owner` stored | release | `owner` read by a remote free: acquire | the slab is whole | |
//!
//! `local` is relaxed: a thread that got the block's address legally got it after the store, and
//! one that did not is told apart at the latest when the owner next looks at the marks.
//!
//! The biased freer has no fence between its mark and its look at the flag: that would cost as much
//! as an exchange. It may read a flag that is just being cleared, and tell nobody. So its count
//! stands for the flag (`flagged`); the owner, which knows that it swept, looks again once; so does
//! the next scan, where the slab is nobody's. Twin: `SweepSure`.
//!
//! # Two marks, reported before the owner sees them
//! The owner may not come for long: it waits for something, or has exited. So whoever makes a scan
//! looks, under the span lock, for blocks with both marks
//! ([`judge_pairs`](Slab::judge_pairs)): two frees, whatever else happens. It changes nothing in
//! the slab. It notes the address, and the report that the owner's look at the same two marks will
//! give is swallowed: the owner clears marks before it takes the lock to report, so of the two
//! under the lock the second knows of the first.
//!
//! It looks at a ledger only if the biased freer has marked since the last look, or another, which
//! looks behind its own mark for that one's, has seen it (`pair`). One of the two is so: if the
//! other did not see the biased freer's mark, it came later, and so its count does.

use crate::engine::slab::ledger::{self, Freer, GROUP, LIVE, Mark};
use crate::engine::slab::owned::OwnedSlab;
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
    #[inline]
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
            let frees = self.remote.biased_frees.load(Ordering::Relaxed);
            // Release: pairs with the acquire in `sweep`.
            self.remote.biased_frees.store(frees.wrapping_add(1), Ordering::Release);
        };
        if by == Freer::Biased && planted(Fault::CountEarly) {
            count();
        }
        let mark = entry.mark(by, || {
            probe.pause();
            // Acquire: pairs with the fence in `start_at`.
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
        if by == Freer::Other && entry.is_pair() && !planted(Fault::PairUnseen) {
            // Release: pairs with the acquire in `judge_pairs`.
            self.remote.pair.store(true, Ordering::Release);
        }
        if self.remote.flag.load(Ordering::Relaxed) || planted(Fault::MarkUnflagged) {
            return Marked::Done;
        }
        // An exchange, for the fence behind it: pairs with the one of whoever abandons the slab.
        let raised = self.remote.flag.swap(true, Ordering::Relaxed);
        if !planted(Fault::FlagUnfenced) {
            sync::fence_after_rmw();
        }
        if raised { Marked::Done } else { Marked::First }
    }

    /// Whether the heap at `heap` is the biased freer, or becomes it here.
    #[inline]
    fn is_biased_to(&self, heap: usize) -> bool {
        // Acquire: pairs with the release that resets it at the end of a grace period, and, in the
        // exchange, with the one in `retire`.
        let biased_to = self.biased_to.load(Ordering::Acquire);
        let becomes = || {
            self.biased_to
                .compare_exchange(NOBODY, heap, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        };
        heap != NOBODY
            && (biased_to == heap || biased_to == NOBODY && becomes() || planted(Fault::AllBiased))
    }

    /// Calls `f` with the address of each block that has both marks, if any may have come since
    /// this was last asked; `f` says whether that is noted, and the look ends with the first that
    /// is not. For whoever has the span lock, about a
    /// slab of which somebody else may touch the local part. Whether the ledger was looked at.
    pub fn judge_pairs(&self, mut f: impl FnMut(usize) -> bool) -> bool {
        // Acquire: pairs with the releases in `mark`.
        let frees = self.remote.biased_frees.load(Ordering::Acquire);
        let seen = self.remote.pair.load(Ordering::Acquire);
        if frees == self.remote.judged.load(Ordering::Relaxed) && !seen {
            return false;
        }
        if seen {
            self.remote.pair.store(false, Ordering::Relaxed);
        }
        // Pairs with the fence in `mark` behind another's exchange: either that one sees the biased
        // freer's mark, which is counted here, or its own is seen here.
        if !planted(Fault::JudgeUnfenced) {
            sync::fence(Ordering::SeqCst);
        }
        let (start, size) = (self.start(), self.size);
        for first in (0..self.capacity()).step_by(GROUP) {
            // SAFETY: below the capacity; a ledger's memory is whole groups.
            if !unsafe { ledger::any_returned(self.entry(first)) } {
                continue;
            }
            for index in first..self.capacity().min(first + GROUP) {
                // SAFETY: below the capacity.
                let twice = unsafe { self.entry(index) }.was_freed_twice();
                if twice && !f(start + index * size) {
                    return true;
                }
            }
        }
        self.remote.judged.store(frees, Ordering::Relaxed);
        true
    }

    /// Whether somebody has said that there is something to sweep, for a thread that may not look
    /// closer.
    pub fn seems_flagged(&self) -> bool {
        self.remote.flag.load(Ordering::Relaxed)
    }

    /// Whether the slab has ended, and is in its grace period, and marks came that nobody has
    /// judged. Under the span lock.
    pub fn ended_with_marks(&self) -> bool {
        self.is_in_grace() && self.has_unjudged_marks()
    }

    /// Whether the biased freer has marked since somebody last judged its marks. Under the span
    /// lock.
    pub fn has_unjudged_marks(&self) -> bool {
        let frees = self.remote.biased_frees.load(Ordering::Relaxed);
        frees != self.remote.judged.load(Ordering::Relaxed)
    }

    /// As above, whether marks came or not.
    pub fn is_in_grace(&self) -> bool {
        self.remote.in_grace.load(Ordering::Relaxed)
    }

    /// Says whether the slab is in its grace period. Under the span lock.
    pub fn set_in_grace(&self, is: bool) {
        self.remote.in_grace.store(is, Ordering::Relaxed);
    }

    /// Tells of marks that came after the slab's end: misuses, all of them, since no block was
    /// live. `double_freed` as in [`sweep`](OwnedSlab::sweep).
    ///
    /// # Safety
    /// The slab has ended, and the caller has the span lock.
    pub unsafe fn judge_end(&self, mut double_freed: impl FnMut(usize)) {
        let (start, size) = (self.start(), self.size);
        // Acquire: pairs with the release in `mark`.
        let frees = self.remote.biased_frees.load(Ordering::Acquire);
        // A look first: in a forked child a store copies the page.
        if frees != self.remote.judged.load(Ordering::Relaxed) {
            self.remote.judged.store(frees, Ordering::Relaxed);
        }
        for first in (0..self.capacity()).step_by(GROUP) {
            // SAFETY: below the capacity; a ledger's memory is whole groups.
            if !unsafe { ledger::any_returned(self.entry(first)) } {
                continue;
            }
            for index in first..self.capacity().min(first + GROUP) {
                // SAFETY: below the capacity.
                let entry = unsafe { self.entry(index) };
                let marks = entry.marks();
                entry.clear(marks);
                (0..marks.count()).for_each(|_| double_freed(start + index * size));
            }
        }
    }
}

impl OwnedSlab {
    /// Whether another thread has marked a block here since the last sweep began.
    #[inline]
    pub fn flagged(self) -> bool {
        let frees = self.remote.biased_frees.load(Ordering::Relaxed);
        self.remote.flag.load(Ordering::Relaxed) || frees != self.look(|local| local.seen_biased)
    }

    /// Takes back what others freed: those blocks are on the list afterwards, the lowest first.
    /// `double_freed` is called with the address of each block that was free already. Returns how
    /// many came back.
    pub fn sweep(self, mut double_freed: impl FnMut(usize)) -> usize {
        self.remote.flag.store(false, Ordering::Relaxed);
        // Pairs with the fence in `mark`.
        if !planted(Fault::SweepUnfenced) {
            sync::fence(Ordering::SeqCst);
        }
        // Acquire: pairs with the release in `mark`.
        let frees = self.remote.biased_frees.load(Ordering::Acquire);
        let (carved, base, size, first) = self.with(|local| {
            local.seen_biased = frees;
            (usize::from(local.carved), local.base, local.size, local.head)
        });
        let (mut head, mut back) = (first, 0);
        for group in (0..carved.div_ceil(GROUP)).rev() {
            let entries = group * GROUP;
            // SAFETY: below `carved`; a ledger's memory is whole groups.
            if !unsafe { ledger::any_returned(self.entry(entries)) } {
                continue;
            }
            for index in (entries..carved.min(entries + GROUP)).rev() {
                // SAFETY: below `carved`.
                let entry = unsafe { self.entry(index) };
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
                // First: whoever finds both marks under the span lock tells of them, and this call
                // must not have reported already. See `judge_pairs`.
                let clears_first = !planted(Fault::ReportedFirst);
                if clears_first {
                    entry.clear(marks);
                }
                if !planted(Fault::SweepSilent) {
                    (0..frees).for_each(|_| double_freed(base + (index + 1) * size));
                }
                if !clears_first {
                    entry.clear(marks);
                }
            }
        }
        if back > 0 {
            self.with(|local| {
                local.set_head(head);
                local.countdown -= back as i32;
            });
        }
        back
    }
}
