//! What the heaps of exited threads leave: see [`shared`](crate::engine::shared).
//!
//! Called by whoever looks at the clock, or is short of memory, or asks for all that is idle.

use crate::engine::classes::CLASSES;
use crate::engine::engine::Engine;
use crate::engine::heap::{Heap, Own, Owner};
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::placeholder::no_slab;
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::fault::{Fault, planted};
use crate::sync::{self, Ordering, RawLock};

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Abandons the slabs of all heaps that have been parked for at least `age` milliseconds.
    #[cold]
    pub(super) fn abandon_parked(&self, age: u64) {
        let latest = self.os.milliseconds().saturating_sub(age).max(u64::from(age == 0));
        while let Some(heap) = self.locked(|shared| shared.take_parked(latest)) {
            // SAFETY: heaps live as long as the engine, and no list of parked heaps has this one
            // now: it is this thread's.
            self.abandon_slabs(unsafe { (*heap).owner() });
            self.locked(|shared| shared.park(heap, 0, true));
        }
    }

    /// Leaves the heap's slabs to other threads: the empty ones go back, the others wait for
    /// whoever frees into them or needs their class.
    fn abandon_slabs(&self, mut owner: Owner<'_>) {
        let heap = owner.heap();
        owner.with(|own| {
            for class in 0..CLASSES {
                own.drop_current(class, no_slab());
            }
            own.each(|own, slab| self.abandon_slab(heap, own, slab));
        });
        heap.flagged_slabs.store(0, Ordering::Relaxed);
        self.locked(|shared| self.hint_deferred(shared));
    }

    /// As above, of one slab.
    fn abandon_slab(&self, heap: &Heap, own: &mut Own, slab: OwnedSlab) {
        own.unlist(slab);
        if slab.flagged() {
            self.sweep(own, slab);
        }
        let is_empty = slab.used() == 0
            || self.locked(|shared| {
                shared.abandon(slab);
                // A mark that came after the sweep: either its flag is seen here, or its thread
                // sees that there is no owner. Pairs with the fence behind the flag in
                // `Slab::mark`.
                sync::fence(Ordering::SeqCst);
                if slab.flagged() && !planted(Fault::ReleaseBlind) {
                    self.sweep_locked(shared, slab);
                }
                let empty = slab.used() == 0;
                if empty {
                    shared.unlist_abandoned(slab, heap);
                }
                empty
            });
        if is_empty {
            // SAFETY: empty, and on no list: this heap's before, and, if it was abandoned, again.
            unsafe { self.give_back(slab) };
        }
    }
}
