//! What the heaps of exited threads leave: see [`shared`](crate::engine::shared).
//!
//! A heap that has been parked for long is taken, loses a few slabs, and is parked again, for the
//! next call to go on. Called by whoever looks at the clock, or is short of memory, or asks for all
//! that is idle.

use crate::engine::engine::Engine;
use crate::engine::heap::{Heap, Own};
use crate::engine::shared::{AT_ONCE, Shared};
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::placeholder::no_slab;
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::{Ordering, RawLock};

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Abandons the slabs of all heaps that have been parked for at least `age` milliseconds.
    #[cold]
    pub(in crate::engine) fn abandon_parked(&self, age: u64) {
        let latest = self.parked_until(age);
        while self.abandon_of(latest, 0) {}
    }

    /// The latest moment at which a heap may have been parked, for `age` to have passed since.
    fn parked_until(&self, age: u64) -> u64 {
        self.os.milliseconds().saturating_sub(age).max(u64::from(age == 0))
    }

    /// As above, of a few slabs, those of `class` first. Whether there were any.
    #[cold]
    pub(in crate::engine) fn abandon_some(&self, age: u64, class: usize) -> bool {
        self.abandon_of(self.parked_until(age), class)
    }

    fn abandon_of(&self, latest: u64, class: usize) -> bool {
        let taken = self.locked(|shared| {
            let taken = shared.take_parked(latest);
            if taken.is_none() {
                shared.is_abandoning = false;
                self.note_background_work(shared);
            }
            taken
        });
        let Some((heap, since)) = taken else { return false };
        // SAFETY: this thread has just taken the heap from the parked ones, and so owns it.
        let (slabs, left) = unsafe { heap.owner() }.with(|own| {
            let slabs = core::array::from_fn(|_| self.take_out(own, class));
            (slabs, own.slabs.count)
        });
        let empty = self.abandon_slabs(heap, slabs);
        // SAFETY: no block of these slabs is live, and `abandon_slabs` leaves them on no list.
        unsafe { self.retire(empty) };
        if left == 0 {
            heap.flagged_slabs.store(0, Ordering::Relaxed);
        }
        self.locked(|shared| {
            shared.give_back(&self.os, empty);
            shared.park_again(heap, since, left == 0);
            shared.is_abandoning = left > 0 || shared.has_parked_since(latest);
            self.note_background_work(shared);
            self.hint_deferred(shared);
        });
        true
    }

    /// A slab that its parked heap loses, swept.
    fn take_out(&self, own: &mut Own, class: usize) -> Option<OwnedSlab> {
        let slab = own.take_one(class, no_slab())?;
        if slab.flagged() {
            self.sweep(own, slab);
        }
        Some(slab)
    }

    /// Leaves slabs of `heap` that are on no list to other threads. The empty ones are returned, as
    /// a chain: they are to go back. The others wait for whoever frees into them or needs their
    /// class.
    fn abandon_slabs(&self, heap: &Heap, slabs: [Option<OwnedSlab>; AT_ONCE]) -> Option<OwnedSlab> {
        let mut empty = None;
        let mut chain = |slab: OwnedSlab| {
            slab.chain(empty);
            empty = Some(slab);
        };
        if slabs.iter().flatten().all(|slab| slab.used() == 0) {
            slabs.into_iter().flatten().for_each(chain);
            return empty;
        }
        self.locked(|shared| {
            for slab in slabs.into_iter().flatten() {
                if slab.used() == 0 || self.is_abandoned_empty(shared, heap, slab) {
                    chain(slab);
                }
            }
        });
        empty
    }

    /// As above, of one slab, under the span lock: whether it is empty after all.
    fn is_abandoned_empty(&self, shared: &mut Shared, heap: &Heap, slab: OwnedSlab) -> bool {
        self.abandon_slab(shared, slab);
        let empty = slab.used() == 0;
        if empty {
            shared.unlist_abandoned(slab, heap);
        }
        empty
    }
}
