//! Heaps that no thread has, and slabs that no heap has: see [`shared`](super).

use core::ptr;

use crate::engine::classes::CLASSES;
use crate::engine::heap::{Heap, has_vanished};
use crate::engine::shared::headers::biased_heap_of;
use crate::engine::shared::{LOOKS, Shared};
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::{ABANDONED, Place, Slab};
use crate::sync::fault::{Fault, planted};
use crate::sync::{Ordering, step, this_thread};

impl Shared {
    /// A heap that no thread has, for one: the last that was left, else one without slabs.
    pub fn unpark(&mut self) -> Option<*const Heap> {
        let list = if self.parked.is_null() { &mut self.parked_empty } else { &mut self.parked };
        let heap = *list;
        if heap.is_null() {
            return None;
        }
        // SAFETY: heaps live as long as the engine; the lock is held.
        unsafe {
            *list = (*heap).next_parked.with(|next| *next);
            have(&*heap);
            // Who saw it parked may ask again.
            (*heap).advance_epoch();
        }
        Some(heap)
    }

    /// Parks a heap that its thread has left, since `now`; `empty` says that it has no slabs.
    pub fn park(&mut self, heap: *const Heap, now: u64, empty: bool) {
        let list = if empty { &mut self.parked_empty } else { &mut self.parked };
        // SAFETY: as above; the heap is on no list.
        unsafe {
            (*heap).next_parked.with(|next| *next = *list);
            (*heap).parked_since.store((now as usize).max(1), Ordering::Relaxed);
        }
        *list = heap;
    }

    /// Whether there is a heap that has slabs, and is parked since `latest` or longer.
    pub fn has_parked_since(&self, latest: u64) -> bool {
        let mut heap = self.parked;
        while !heap.is_null() {
            // SAFETY: heaps live as long as the engine; the lock is held.
            unsafe {
                if (*heap).parked_since.load(Ordering::Relaxed) as u64 <= latest {
                    return true;
                }
                heap = (*heap).next_parked.with(|next| *next);
            }
        }
        false
    }

    /// A heap that has slabs, and is parked since `latest` or longer: the caller's.
    pub fn take_parked(&mut self, latest: u64) -> Option<*const Heap> {
        let (mut before, mut heap): (*const Heap, _) = (ptr::null(), self.parked);
        while !heap.is_null() {
            // SAFETY: heaps live as long as the engine; the lock is held.
            unsafe {
                let next = (*heap).next_parked.with(|next| *next);
                if (*heap).parked_since.load(Ordering::Relaxed) as u64 <= latest {
                    match before.is_null() {
                        true => self.parked = next,
                        false => (*before).next_parked.with(|slot| *slot = next),
                    }
                    have(&*heap);
                    return Some(heap);
                }
                (before, heap) = (heap, next);
            }
        }
        None
    }

    /// Calls `f` with every heap that no thread has, and that has slabs, or may have.
    pub fn each_parked(&mut self, mut f: impl FnMut(&mut Shared, &Heap)) {
        let mut next = self.parked;
        while !next.is_null() {
            // SAFETY: heaps live as long as the engine; the lock is held.
            let heap = unsafe { &*next };
            f(self, heap);
            // SAFETY: as above: the link is the lock's.
            next = unsafe { heap.next_parked.with(|next| *next) };
        }
    }

    /// Leaves a slab of a heap that nobody took up, which is on no list, to the others.
    pub fn abandon(&mut self, slab: OwnedSlab) {
        slab.put(Place::Abandoned);
        self.abandoned[slab.class()].push_front(slab);
        self.recheck_abandoned |= biased_heap_of(&slab).is_some() && !planted(Fault::AbandonSure);
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
            self.abandoned[slab.class()].remove(slab);
            slab.put(Place::Nowhere);
        } else {
            // SAFETY: the owner vanished: it does not exist.
            unsafe { slab.rebuild() };
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
        self.abandoned[slab.class()].remove(slab);
        slab.put(Place::Nowhere);
        slab.owner.store(heap.expose_provenance(), Ordering::Release);
    }
}

/// The heap is the calling thread's from now on.
fn have(heap: &Heap) {
    heap.thread.store(this_thread(), Ordering::Relaxed);
    // A forked child takes a heap that is not parked for that thread's.
    step();
    heap.parked_since.store(0, Ordering::Relaxed);
}
