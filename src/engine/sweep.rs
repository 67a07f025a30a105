//! What other threads freed comes back, and what is empty goes back.
//!
//! Called with the local part of a heap, so by its owner; [`sweep_locked`](Engine::sweep_locked)
//! under the span lock.

use core::ptr;

use crate::engine::classes::{self, CLASSES};
use crate::engine::engine::Engine;
use crate::engine::heap::{Heap, IDLE, Own, Owner, PATIENCE, bytes_of};
use crate::engine::shared::{AT_ONCE, Shared, double_free, headers, idle};
use crate::engine::slab::Place;
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::placeholder::no_slab;
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::fault::{Fault, planted};
use crate::sync::{self, Ordering, RawLock};

/// Classes that a refill looks at. With three, 32 threads that took 256 KiB in each of 64 classes
/// keep 44 MiB; with two 60, with one 75, without 296. A ring of 65,536 blocks executes 0.3 % more
/// instructions for each.
const FEW: usize = 3;

/// Bytes that the current slabs of a heap may have carved when its thread ends: if it is more, the
/// empty ones go. Without a bound five heaps kept 40 MiB in 75 classes. A bound of 16 slabs made
/// threads of 64 blocks in 25 classes cost a sixth more: each began with none.
const PARKED_CARVED: usize = 192 << 10;

/// The same of the bytes of their spans.
const PARKED_SPANS: usize = 4 << 20;

/// Slabs that one call looks at in search of those that others have flagged.
const LOOKS: usize = 32;

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Takes back what others freed in one slab of the heap. Whether that was anything.
    pub(super) fn sweep(&self, own: &mut Own, slab: OwnedSlab) -> bool {
        if !planted(Fault::SweepSure) {
            own.recheck = true;
            self.scan_wanted.set();
        }
        slab.sweep(|address| self.defer_double_free(address, slab.as_ptr())) > 0
    }

    /// As [`sweep`](Self::sweep), of an abandoned slab, under the span lock.
    pub(super) fn sweep_locked(&self, shared: &mut Shared, slab: OwnedSlab) {
        if !planted(Fault::SweepSure) {
            self.scan_wanted.set();
        }
        slab.sweep(|address| shared.defer(&self.os, double_free(address, slab.as_ptr())));
    }

    /// Gives the oldest empty slabs back until at most `bound` bytes of them are left.
    pub(super) fn bound_idle(&self, own: &mut Own, bound: usize) {
        while let Some(chain) = self.take_oldest(own, bound) {
            // SAFETY: empty, and on no list any more.
            unsafe { self.give_back(Some(chain)) };
        }
    }

    /// Leaves the oldest empty slabs to others until at most `bound` bytes of them remain. Of all
    /// that was left so, the oldest goes back, if it is too much.
    pub(super) fn leave_idle(&self, own: &mut Own, bound: usize) {
        #[cfg(loom)]
        if !self.leaves_idle.is_set() {
            return self.bound_idle(own, bound);
        }
        // The youngest, in which the caller may go on, is shorter than `IDLE`, which is 0 there.
        #[cfg(loom)]
        let bound = bound.max(own.empties.first().map_or(0, |youngest| youngest.bytes));
        while let Some(chain) = self.take_oldest(own, bound) {
            // The heap's address: it owns them.
            let heap = ptr::with_exposed_provenance(chain.owner.load(Ordering::Relaxed));
            let gone = self.locked(|shared| {
                let mut next = Some(chain);
                while let Some(slab) = next {
                    next = slab.next();
                    self.abandon_slab(shared, slab);
                    shared.idle.add(slab);
                }
                self.hint_deferred(shared);
                shared.take_idle(heap, |_, left| left > idle::MOST)
            });
            // SAFETY: empty, and on no list: this heap's.
            unsafe { self.give_back(gone) };
        }
    }

    /// For models: empty slabs are left to others from now on, where they would end.
    #[cfg(loom)]
    pub fn leave_idle_slabs(&self) {
        self.leaves_idle.set();
    }

    /// Gives empty slabs back that were left to others, until at most `bound` bytes of them remain.
    pub(super) fn bound_left(&self, heap: &Heap, bound: usize) {
        while let Some(chain) = self.locked(|shared| shared.take_idle(heap, |_, left| left > bound))
        {
            // SAFETY: empty, and on no list: this heap's.
            unsafe { self.give_back(Some(chain)) };
        }
    }

    /// The oldest empty slabs of the heap, a few, as a chain: as many as are above `bound` bytes.
    fn take_oldest(&self, own: &mut Own, bound: usize) -> Option<OwnedSlab> {
        let mut chain = None;
        for _ in 0..AT_ONCE {
            let Some(oldest) = own.empties.last().filter(|_| own.idle_bytes > bound) else { break };
            own.unlist(oldest);
            own.slabs.remove(oldest);
            oldest.chain(chain);
            chain = Some(oldest);
        }
        chain
    }

    /// Leaves a slab that is on no list to others, under the span lock.
    pub(super) fn abandon_slab(&self, shared: &mut Shared, slab: OwnedSlab) {
        shared.abandon(slab);
        // A mark that came after the last sweep: either its flag is seen here, or its thread sees
        // that there is no owner. Pairs with the fence behind the flag in `Slab::mark`.
        sync::fence(Ordering::SeqCst);
        if slab.flagged() && !planted(Fault::ReleaseBlind) {
            self.sweep_locked(shared, slab);
        }
    }

    /// Gives slabs back to the spans.
    ///
    /// # Safety
    /// No block of a slab of the chain is live, and it is on no list: nobody else can come to give
    /// it back.
    pub(super) unsafe fn give_back(&self, chain: Option<OwnedSlab>) {
        if chain.is_none() {
            return;
        }
        // SAFETY: no block of the chain's slabs is live, and they are on no list.
        unsafe { self.retire(chain) };
        self.locked(|shared| shared.give_back(&self.os, chain));
    }

    /// The first part of that: ends the slabs' lives.
    ///
    /// # Safety
    /// As [`give_back`](Self::give_back).
    pub(super) unsafe fn retire(&self, mut chain: Option<OwnedSlab>) {
        while let Some(slab) = chain {
            chain = slab.next();
            self.page_map.set(slab.start(), bytes_of(slab.class()), ptr::null());
            self.probe.pause();
            // SAFETY: no block of the slab is live; the page map has just let go.
            unsafe {
                slab.retire(
                    |address| self.defer_double_free(address, slab.as_ptr()),
                    headers::epoch_of,
                );
            }
        }
    }

    /// Begins a look at all slabs of the heap, for what others freed there: `flagged` flags were
    /// counted.
    pub(super) fn begin_look(&self, own: &mut Own, flagged: usize) {
        own.recheck = false;
        own.to_look = own.slabs.count;
        own.look = (flagged, 0);
    }

    /// Goes on with it, if it is not over.
    pub(super) fn look_if_under_way(&self, owner: &mut Owner<'_>) {
        owner.with(|own| {
            if own.to_look > 0 {
                self.look_on(own);
            }
        });
    }

    /// As above, by a few slabs.
    pub(super) fn look_on(&self, own: &mut Own) {
        let mut swept = 0;
        for _ in 0..LOOKS {
            let Some(slab) = own.slabs.turn() else {
                own.to_look = 0;
                break;
            };
            own.to_look -= 1;
            if slab.flagged() {
                swept += 1;
                let any = self.sweep(own, slab);
                if any && slab.place() != Place::Current {
                    own.relist(slab);
                    own.look.1 += usize::from(slab.used() == 0);
                }
            }
            if swept == AT_ONCE || own.to_look == 0 {
                break;
            }
        }
        self.leave_idle(own, IDLE);
        if own.to_look == 0 {
            let (flagged, empty) = own.look;
            // Slabs of which little comes back are not worth so many looks.
            let worth = flagged == 0 || empty >= flagged / 4;
            own.patience = if worth { PATIENCE } else { own.patience.saturating_mul(2) };
        }
    }

    /// Lets go of the current slabs of a few classes, if nothing happens there. Refills call it,
    /// each time for the next ones: a thread that moves on to other sizes, and then idles, would
    /// else keep a slab of each that it ever used.
    pub(super) fn drop_idle_few(&self, own: &mut Own) {
        for _ in 0..FEW {
            self.drop_one_idle(own);
        }
    }

    fn drop_one_idle(&self, own: &mut Own) {
        if own.look_at_one(no_slab()) {
            self.leave_idle(own, IDLE);
        }
    }

    /// Bounds the memory of current slabs when the thread ends: the next thread is likely to need
    /// them, but not any amount.
    pub(super) fn bound_current(&self, own: &mut Own) {
        let (carved, spans) = own.bytes_of_current();
        if carved <= PARKED_CARVED && spans <= PARKED_SPANS {
            return;
        }
        for class in 0..CLASSES {
            if own.has_empty_current(class) {
                own.drop_current(class, no_slab());
                self.leave_idle(own, IDLE);
            }
        }
    }

    /// Lets go of current slabs that have no live block: of large classes now, of the others as
    /// `look_at_one` does.
    pub(super) fn drop_idle(&self, own: &mut Own) {
        for class in classes::class_of(32 << 10, 1).unwrap_or(0)..CLASSES {
            let current = own.current[class];
            if current.class() == class && current.count_used() == 0 {
                own.drop_current(class, no_slab());
            }
            self.leave_idle(own, IDLE);
        }
        for _ in 0..CLASSES {
            self.drop_one_idle(own);
        }
    }
}
