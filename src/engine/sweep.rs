//! What other threads freed comes back, and what is empty goes back.
//!
//! Called with the local part of a heap, so by its owner; [`sweep_locked`](Engine::sweep_locked)
//! under the span lock.

use core::ptr;

use crate::engine::classes::{self, CLASSES};
use crate::engine::engine::Engine;
use crate::engine::heap::{Heap, IDLE, Own, bytes_of};
use crate::engine::shared::{Shared, double_free, headers};
use crate::engine::slab::Place;
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::placeholder::no_slab;
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::fault::{Fault, planted};
use crate::sync::{Ordering, RawLock};

/// Classes that a refill looks at. With three, 32 threads that took 256 KiB in each of 64 classes
/// keep 44 MiB; with two 60, with one 75, without 296. A ring of 65,536 blocks executes 0.3 % more
/// instructions for each.
const FEW: usize = 3;

/// Current slabs that a heap may keep, empty or not, when its thread ends. Without a bound five
/// heaps kept 40 MiB in 75 classes.
const PARKED: usize = 16;

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Takes back what others freed in one slab of the heap. Whether that was anything.
    pub(super) fn sweep(&self, own: &mut Own, slab: OwnedSlab) -> bool {
        own.recheck |= !planted(Fault::SweepSure);
        slab.sweep(|address| self.defer_double_free(address, slab.as_ptr())) > 0
    }

    /// As [`sweep`](Self::sweep), of an abandoned slab, under the span lock.
    pub(super) fn sweep_locked(&self, shared: &mut Shared, slab: OwnedSlab) {
        slab.sweep(|address| shared.defer(&self.os, double_free(address, slab.as_ptr())));
    }

    /// As [`sweep_flagged`](Self::sweep_flagged), of a heap that is parked, under the span lock,
    /// and nothing goes back.
    pub(super) fn sweep_parked(&self, shared: &mut Shared, heap: &Heap) {
        // SAFETY: a parked heap is the lock's.
        unsafe { heap.owner() }.with(|own| {
            // Acquire: pairs with the release in `tell_owner`.
            if heap.flagged_slabs.load(Ordering::Acquire) == 0 && !own.recheck {
                return;
            }
            own.each(|own, slab| {
                if slab.flagged() {
                    self.sweep_locked(shared, slab);
                    own.recheck = true;
                    if slab.place() != Place::Current {
                        own.relist(slab);
                    }
                }
            });
        });
    }

    /// Gives the oldest empty slabs back until at most `bound` bytes of them are left.
    pub(super) fn bound_idle(&self, own: &mut Own, bound: usize) {
        while own.idle_bytes > bound
            && let Some(oldest) = own.empties.last()
        {
            own.unlist(oldest);
            // SAFETY: empty, and on no list any more.
            unsafe { self.give_back(oldest) };
        }
    }

    /// Gives a slab back to the spans.
    ///
    /// # Safety
    /// No block of `slab` is live, and it is on no list: nobody else can come to give it back.
    pub(super) unsafe fn give_back(&self, slab: OwnedSlab) {
        let start = slab.start();
        self.page_map.set(start, bytes_of(slab.class()), ptr::null());
        self.probe.pause();
        // SAFETY: no block is live, as the caller says; the page map has just let go.
        unsafe {
            slab.retire(
                |address| self.defer_double_free(address, slab.as_ptr()),
                headers::epoch_of,
            );
        }
        self.locked(|shared| shared.give_back(&self.os, slab, start));
    }

    /// Takes back what others freed. Returns how many slabs that emptied.
    pub(super) fn sweep_flagged(&self, own: &mut Own) -> usize {
        let mut emptied = 0;
        own.recheck = false;
        own.each(|own, slab| {
            let swept = slab.flagged() && self.sweep(own, slab);
            if swept && slab.place() != Place::Current {
                own.relist(slab);
                emptied += usize::from(slab.used() == 0);
            }
        });
        self.bound_idle(own, IDLE);
        emptied
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
            self.bound_idle(own, IDLE);
        }
    }

    /// As [`drop_idle`](Self::drop_idle), when the thread ends. A heap that has more current slabs
    /// than the next thread is likely to need keeps none that is empty.
    pub(super) fn drop_idle_at_end(&self, own: &mut Own) {
        self.drop_idle(own);
        if own.count_current() > PARKED {
            // The first pass has seen all, and nothing happened since.
            self.drop_idle(own);
        }
    }

    /// Lets go of current slabs that have no live block: of large classes now, of the others where
    /// nothing happened since the last look.
    pub(super) fn drop_idle(&self, own: &mut Own) {
        for class in classes::class_of(32 << 10, 1).unwrap_or(0)..CLASSES {
            let current = own.current[class];
            if current.class() == class && current.count_used() == 0 {
                own.drop_current(class, no_slab());
            }
            self.bound_idle(own, IDLE);
        }
        for _ in 0..CLASSES {
            self.drop_one_idle(own);
        }
    }
}
