//! What the heaps of exited threads leave.

use crate::engine::classes::CLASSES;
use crate::engine::engine::Engine;
use crate::engine::heap::Heap;
use crate::engine::slab::placeholder::no_slab;
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::fault::{Fault, planted};
use crate::sync::{self, Ordering, RawLock};

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Makes abandoned slabs of the slabs of all heaps that have been parked for at least `age` milliseconds.
    #[cold]
    pub(super) fn abandon_parked(&self, age: u64) {
        let latest = self.os.milliseconds().saturating_sub(age).max(u64::from(age == 0));
        while let Some(heap) = self.locked(|shared| shared.take_parked(latest)) {
            // SAFETY: heaps live as long as the engine, and nobody else has this one now.
            unsafe { self.abandon_slabs(&*heap) };
            self.locked(|shared| shared.park(heap, 0, true));
        }
    }

    /// Leaves the heap's slabs to other threads: the empty ones go back, the others wait for whoever
    /// frees into them or needs their class.
    ///
    /// # Safety
    /// The calling thread owns the heap.
    pub(super) unsafe fn abandon_slabs(&self, heap: &Heap) {
        // SAFETY: the owner's.
        unsafe {
            heap.own.with(|own| {
                for class in 0..CLASSES {
                    own.drop_current(class, no_slab());
                }
                own.each(|own, slab| {
                    own.unlist(slab);
                    if (*slab).flagged() {
                        self.sweep(own, slab);
                    }
                    if (*slab).local.with(|local| local.used()) == 0 {
                        self.give_back(slab);
                        return;
                    }
                    let emptied = self.locked(|shared| {
                        shared.abandon(slab);
                        // A mark that came after the sweep: either its flag is seen here, or its thread, which
                        // looks at the owner after it raised the flag, sees that there is none. Unless it is a
                        // biased freer's, which found the flag up: see `Shared::recheck_abandoned`.
                        sync::fence(Ordering::SeqCst);
                        if (*slab).flagged() && !planted(Fault::ReleaseBlind) {
                            self.sweep_locked(shared, slab);
                        }
                        let empty = (*slab).local.with(|local| local.used()) == 0;
                        if empty {
                            shared.unlist_abandoned(slab, heap);
                        }
                        empty
                    });
                    if emptied {
                        self.give_back(slab);
                    }
                });
            });
            heap.flagged_slabs.store(0, Ordering::Relaxed);
        }
        self.locked(|shared| self.hint_deferred(shared));
    }
}
