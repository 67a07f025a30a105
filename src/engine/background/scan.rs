//! The scan of all headers, a few in each slow call, and the other steps of background work.
//!
//! | work | when | in steps of |
//! |---|---|---|
//! | a heap that has been parked for long is [abandoned](super::abandon) | somebody finds it | [`AT_ONCE`] slabs |
//! | the scan: a look at all headers | one is wanted, and some time has passed | [`LOOKS`] headers, [`AT_ONCE`] ledgers |
//!
//! # When a scan is wanted
//! A mark may have come to a slab whose owner does not look: it waits for something, or has exited,
//! or the slab has ended. Memory waits there, and, if the mark was a block's second, a report. Who
//! raises a flag, sweeps a slab, or leaves one whose biased freer may be at a mark, wants a scan.
//! It visits every slab once:
//!
//! | the slab | is |
//! |---|---|
//! | has no owner, or one that is parked | swept, if it is flagged |
//! | has ended | [judged](crate::engine::shared::Shared::judge_end), if marks came since |
//! | has an owner that runs | looked at for [pairs of marks](crate::engine::slab::remote) |
//!
//! A slab that was flagged is visited by the next scan too: a mark may just be coming. So a misuse
//! is reported a second after it at most, in a process that comes to slow calls often enough. A
//! scan of `n` headers begins `n / 64` milliseconds later, so that it costs half a per cent of the
//! time at most.

use core::ptr;

use crate::engine::engine::Engine;
use crate::engine::heap::{Heap, has_vanished};
use crate::engine::shared::abandoned::have;
use crate::engine::shared::{AT_ONCE, Shared, parked_since};
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::{ABANDONED, NOBODY, Place, Slab};
use crate::engine::span::decay::DECAY;
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::fault::{Fault, planted};
use crate::sync::{Ordering, RawLock, step};

/// Headers that one call looks at.
const LOOKS: usize = 32;

/// Headers for which the next scan waits a millisecond longer.
const HEADERS_A_MILLISECOND: usize = 64;

/// The outcome of a visit.
#[derive(Default)]
struct Visit {
    /// A ledger was walked.
    walked: bool,
    /// A mark may just be coming.
    again: bool,
}

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Does some steps of what is to be done, if anything is. `heap` is the calling thread's.
    #[inline]
    pub(in crate::engine) fn background_steps(&self, heap: &Heap, class: usize) {
        if self.background.is_set() || self.scan_wanted.is_set() {
            self.do_background_steps(heap, class);
        }
    }

    #[cold]
    fn do_background_steps(&self, heap: &Heap, class: usize) {
        let now = self.os.milliseconds();
        let due = self.scan_due.get() as u64;
        if !self.background.is_set() && now < due {
            return;
        }
        if !self.background.is_set() && due == 0 {
            // The first to see that one is wanted: some time must pass, or the mark may just be
            // coming.
            return self.scan_due.put((now + DECAY) as usize);
        }
        heap.busily(|| {
            let (empty, is_abandoning) = self.locked(|shared| {
                if shared.scan_at.is_null() && self.scan_wanted.is_set() && due != 0 && now >= due {
                    self.scan_wanted.clear();
                    shared.scan_at = shared.headers;
                }
                let empty = self.scan_on(shared, heap, now);
                self.note_background_work(shared);
                self.hint_deferred(shared);
                (empty, shared.is_abandoning)
            });
            // SAFETY: empty, and on no list: this heap's.
            unsafe { self.give_back(empty) };
            if is_abandoning {
                self.abandon_some(DECAY, class);
            }
        });
    }

    /// Whether misuses may wait in slabs for somebody to look.
    #[cfg(not(loom))]
    pub(in crate::engine) fn wants_scan(&self) -> bool {
        self.scan_wanted.is_set() || self.background.is_set()
    }

    /// For models: as if a scan had begun that has not come to any slab yet.
    #[cfg(loom)]
    pub fn forget_the_scan(&self) {
        self.scan_wanted.put(0);
    }

    /// Visits the next few headers of the scan, if there is one. The abandoned slabs that are
    /// empty come off, as a chain: they are `heap`'s then, the calling thread's, and to be given
    /// back.
    fn scan_on(&self, shared: &mut Shared, heap: &Heap, now: u64) -> Option<OwnedSlab> {
        let (mut empty, mut walks) = (None, 0);
        for _ in 0..LOOKS {
            // SAFETY: headers live as long as the engine.
            let Some(slab) = (unsafe { shared.scan_at.as_ref() }) else { return empty };
            shared.scan_at = slab.older;
            let visit = self.visit(shared, slab, false);
            if visit.again {
                self.scan_wanted.set();
            }
            walks += usize::from(visit.walked);
            empty = self.take_empty(shared, slab, heap, empty);
            if shared.scan_at.is_null() {
                let pause = DECAY + (shared.header_count / HEADERS_A_MILLISECOND) as u64;
                self.scan_due.put((now + pause) as usize);
            }
            if walks == AT_ONCE {
                break;
            }
        }
        empty
    }

    /// Visits all headers, as a scan does, at once, and slabs that have ended whether marks came
    /// to them or not. Nothing is given back.
    pub(in crate::engine) fn visit_all(&self, shared: &mut Shared) {
        let mut next = shared.headers;
        // SAFETY: headers live as long as the engine.
        while let Some(slab) = unsafe { next.as_ref() } {
            next = slab.older;
            self.visit(shared, slab, true);
        }
        self.hint_deferred(shared);
    }

    /// Takes the empty abandoned slabs, except the idle ones, off their lists, as a chain:
    /// `heap`'s, to be given back.
    pub(in crate::engine) fn take_empties(
        &self,
        shared: &mut Shared,
        heap: &Heap,
    ) -> Option<OwnedSlab> {
        let mut empty = None;
        shared.each_abandoned(|shared, slab| {
            empty = self.take_empty(shared, &slab, heap, empty);
        });
        empty
    }

    /// Chains `slab` to the empty ones, if it is abandoned and empty, and not idle.
    fn take_empty(
        &self,
        shared: &mut Shared,
        slab: &Slab,
        heap: &Heap,
        empty: Option<OwnedSlab>,
    ) -> Option<OwnedSlab> {
        if slab.owner.load(Ordering::Relaxed) != ABANDONED {
            return empty;
        }
        // SAFETY: abandoned slabs are the lock's, which is held.
        let slab = unsafe { OwnedSlab::new(slab) };
        if slab.used() > 0 || slab.place() == Place::Idle {
            return empty;
        }
        shared.unlist_abandoned(slab, heap);
        slab.chain(empty);
        Some(slab)
    }

    /// Looks at one slab, under the span lock: see the [module](self). `whole` is for who looks for
    /// the last time.
    fn visit(&self, shared: &mut Shared, slab: &Slab, whole: bool) -> Visit {
        // Acquire: pairs with the release of whoever began the slab's life, which need not have had
        // the lock.
        let owner = slab.owner.load(Ordering::Acquire);
        if owner == NOBODY {
            let walked = slab.ended_with_marks() || whole && slab.is_in_grace();
            if walked && !planted(Fault::EndUnseen) {
                shared.judge_end(&self.os, slab);
            }
            // Between its end and its grace period the thread that ended it is still at it; in a
            // forked child that may have vanished.
            let again = !walked && slab.has_unjudged_marks();
            return Visit { walked, again: again && !self.forked.load(Ordering::Relaxed) };
        }
        if has_vanished(owner) {
            return Visit::default();
        }
        if owner != ABANDONED {
            // SAFETY: neither of the two, so a heap's address; heaps live as long as the engine.
            let heap = unsafe { &*ptr::with_exposed_provenance::<Heap>(owner) };
            return match parked_since(heap) {
                0 => self.visit_owned(shared, slab),
                _ => self.visit_parked(shared, slab, heap),
            };
        }
        // SAFETY: abandoned slabs are the lock's, which is held.
        let slab = unsafe { OwnedSlab::new(slab) };
        let flagged = slab.flagged();
        if flagged {
            self.sweep_locked(shared, slab);
        }
        Visit { walked: flagged, again: flagged }
    }

    /// As above, of a slab whose owner runs: nothing there is changed.
    fn visit_owned(&self, shared: &mut Shared, slab: &Slab) -> Visit {
        let walked = slab.judge_pairs(|address| shared.defer_early(&self.os, address, slab));
        Visit { walked, again: slab.seems_flagged() }
    }

    /// As above, of a slab of a parked heap.
    fn visit_parked(&self, shared: &mut Shared, slab: &Slab, heap: &Heap) -> Visit {
        // SAFETY: a parked heap is the lock's, which is held, and so are its slabs.
        let slab = unsafe { OwnedSlab::new(slab) };
        let flagged = slab.flagged();
        if flagged {
            // A child that is forked in the middle of this must not take the heap for whole: it
            // finds one of a vanished thread, and looks at each slab by itself.
            let since = parked_since(heap);
            have(heap);
            self.sweep_locked(shared, slab);
            // SAFETY: the span lock is held, so that no other thread takes the parked heap.
            unsafe { heap.owner() }.with(|own| {
                own.recheck = true;
                if slab.place() != Place::Current {
                    own.relist(slab);
                }
            });
            step();
            heap.parked_since.store(since as usize, Ordering::Relaxed);
        }
        Visit { walked: flagged, again: flagged }
    }
}
