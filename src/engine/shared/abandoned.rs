//! Heaps that no thread has, and slabs that no heap has: see [`shared`](super).

use crate::engine::classes::CLASSES;
use crate::engine::heap::{Heap, has_vanished};
use crate::engine::shared::{AT_ONCE, LOOKS, Shared, parked_since};
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::{ABANDONED, Place, Slab};
use crate::sync::fault::{Fault, planted};
use crate::sync::{Ordering, step, this_thread};

impl Shared {
    /// A heap that no thread has, for one: the last that was left, else one without slabs.
    pub fn unpark(&mut self) -> Option<&'static Heap> {
        let list =
            if self.parked.first().is_some() { &mut self.parked } else { &mut self.parked_empty };
        let heap = list.first()?;
        list.remove(heap);
        have(heap);
        // Who saw it parked may ask again.
        heap.advance_epoch();
        Some(heap)
    }

    /// Parks a heap that its thread has left, at `now`, with its slabs.
    pub fn park(&mut self, heap: &Heap, now: u64) {
        self.parked.push(heap, false);
        heap.parked_since.store((now as usize).max(1), Ordering::Relaxed);
    }

    /// Parks a heap again that [`take_parked`](Self::take_parked) gave, which was parked `since`
    /// then; `empty` says that it has no slabs any more.
    pub fn park_again(&mut self, heap: &Heap, since: u64, empty: bool) {
        if empty {
            self.parked_empty.push(heap, false)
        } else {
            self.parked.push(heap, true)
        }
        heap.parked_since.store((since as usize).max(1), Ordering::Relaxed);
    }

    /// Whether there is a heap that has slabs, and is parked since `latest` or longer.
    pub fn has_parked_since(&self, latest: u64) -> bool {
        self.parked.last().is_some_and(|heap| parked_since(heap) <= latest)
    }

    /// A heap that has slabs, and is parked since `latest` or longer, for the caller; and since
    /// when.
    pub fn take_parked(&mut self, latest: u64) -> Option<(&'static Heap, u64)> {
        let heap = self.parked.last().filter(|heap| parked_since(heap) <= latest)?;
        self.parked.remove(heap);
        let since = parked_since(heap);
        have(heap);
        Some((heap, since))
    }

    /// Leaves a slab of a heap that nobody took up, which is on no list, to the others.
    pub fn abandon(&mut self, slab: OwnedSlab) {
        slab.put(Place::Abandoned);
        self.abandoned[slab.class()].push_front(slab);
        // Release: pairs with the acquire of a thread that reads the owner and takes the lock; what
        // it then touches the lock orders.
        slab.owner.store(ABANDONED, Ordering::Release);
    }

    /// Makes `heap` the owner of `slab`, if that has none that lives. The slab is then on no list.
    pub fn reclaim(&mut self, slab: *const Slab, heap: *const Heap) -> Option<OwnedSlab> {
        // SAFETY: headers live as long as the engine.
        let owner = unsafe { (*slab).owner.load(Ordering::Relaxed) };
        let is_abandoned = owner == ABANDONED || planted(Fault::ReclaimBlind);
        if !is_abandoned && !has_vanished(owner) {
            return None;
        }
        // SAFETY: abandoned slabs are the lock's, which is held, as are those whose owner vanished.
        let slab = unsafe { OwnedSlab::new(slab) };
        if is_abandoned {
            self.take_off(slab);
        } else {
            // SAFETY: the owner vanished: it does not exist.
            unsafe { slab.rebuild() };
            self.reported_early.forget(slab.start(), slab.bytes);
        }
        slab.owner.store(heap.expose_provenance(), Ordering::Release);
        self.reclaimed += 1;
        Some(slab)
    }

    /// An abandoned slab of `class` that has, or may have, a block to give: reclaimed for `heap`.
    pub fn reclaim_of_class(&mut self, class: usize, heap: *const Heap) -> Option<OwnedSlab> {
        for _ in 0..LOOKS {
            let slab = self.abandoned[class].first()?;
            if slab.flagged() || slab.has_free() || slab.has_uncarved() {
                return self.reclaim(slab.as_ptr(), heap);
            }
            self.abandoned[class].remove(slab);
            self.abandoned[class].push_back(slab);
        }
        None
    }

    /// Calls `f` with every abandoned slab.
    pub fn each_abandoned(&mut self, mut f: impl FnMut(&mut Shared, OwnedSlab)) {
        for class in 0..CLASSES {
            let mut next = self.abandoned[class].first();
            while let Some(slab) = next {
                // Read before `f` may take the slab off.
                next = slab.next();
                f(self, slab);
            }
        }
    }

    /// Takes an abandoned slab off its list, for `heap`, whose it is then: who frees into it at
    /// this moment, which can only be a misuse, must not find an abandoned slab that is on no list.
    pub fn unlist_abandoned(&mut self, slab: OwnedSlab, heap: *const Heap) {
        self.take_off(slab);
        slab.owner.store(heap.expose_provenance(), Ordering::Release);
    }

    /// Takes an abandoned slab off its lists.
    fn take_off(&mut self, slab: OwnedSlab) {
        self.idle.remove(slab);
        self.abandoned[slab.class()].remove(slab);
        slab.put(Place::Nowhere);
    }

    /// A few of the [idle](super::idle) ones that nobody has needed for `period` milliseconds, as
    /// [`take_idle`](Self::take_idle).
    pub fn take_unneeded(&mut self, heap: *const Heap, now: u64, period: u64) -> Option<OwnedSlab> {
        let unneeded = self.idle.look(now, period);
        self.take_idle(heap, |taken, _| taken < unneeded)
    }

    /// A few of the idle ones, the oldest first, as long as `more` says so of how many were taken
    /// and the bytes left: a chain. They are `heap`'s then, on no list, and to be given back.
    pub fn take_idle(
        &mut self,
        heap: *const Heap,
        more: impl Fn(usize, usize) -> bool,
    ) -> Option<OwnedSlab> {
        let mut chain = None;
        for taken in 0..AT_ONCE {
            let oldest = self.idle.oldest().filter(|_| more(taken, self.idle.count().1));
            let Some(oldest) = oldest else { break };
            self.unlist_abandoned(oldest, heap);
            oldest.chain(chain);
            chain = Some(oldest);
        }
        chain
    }
}

/// The heap is the calling thread's from now on.
pub fn have(heap: &Heap) {
    heap.thread.store(this_thread(), Ordering::Relaxed);
    // A forked child takes a heap that is not parked for that thread's.
    step();
    heap.parked_since.store(0, Ordering::Relaxed);
}
