//! Heaps that no thread has, and slabs that no heap has: see [`shared`](super).

use core::ptr;

use crate::engine::classes::CLASSES;
use crate::engine::heap::{Heap, has_vanished};
use crate::engine::shared::headers::favourite_of;
use crate::engine::shared::{LOOKS, Shared};
use crate::engine::slab::{NOBODY, ORPHANED, Place, Slab};
use crate::sync::Ordering;
use crate::sync::fault::{Fault, planted};

impl Shared {
    /// A heap that no thread has, for one: the last that was left, else one without slabs.
    pub fn wake_heap(&mut self) -> Option<*const Heap> {
        let list = if self.resting.is_null() { &mut self.bare } else { &mut self.resting };
        let heap = *list;
        if heap.is_null() {
            return None;
        }
        // SAFETY: heaps live as long as the engine; the lock is held.
        unsafe {
            *list = (*heap).next_resting.with(|next| *next);
            (*heap).resting.store(0, Ordering::Relaxed);
            // Who saw it at rest may ask again.
            (*heap).count();
        }
        Some(heap)
    }

    /// Lets a heap rest that its thread has left, since `now`; `bare` says that it has no slabs.
    pub fn rest(&mut self, heap: *const Heap, now: u64, bare: bool) {
        let list = if bare { &mut self.bare } else { &mut self.resting };
        // SAFETY: as above; the heap is on no list.
        unsafe {
            (*heap).next_resting.with(|next| *next = *list);
            (*heap).resting.store((now as usize).max(1), Ordering::Relaxed);
        }
        *list = heap;
    }

    /// Whether there is a heap that has slabs, and rests since `latest` or longer.
    pub fn rests_since(&self, latest: u64) -> bool {
        let mut heap = self.resting;
        while !heap.is_null() {
            // SAFETY: heaps live as long as the engine; the lock is held.
            unsafe {
                if (*heap).resting.load(Ordering::Relaxed) as u64 <= latest {
                    return true;
                }
                heap = (*heap).next_resting.with(|next| *next);
            }
        }
        false
    }

    /// A heap that has slabs, and rests since `latest` or longer: the caller's.
    pub fn take_resting(&mut self, latest: u64) -> Option<*const Heap> {
        let (mut before, mut heap): (*const Heap, _) = (ptr::null(), self.resting);
        while !heap.is_null() {
            // SAFETY: heaps live as long as the engine; the lock is held.
            unsafe {
                let next = (*heap).next_resting.with(|next| *next);
                if (*heap).resting.load(Ordering::Relaxed) as u64 <= latest {
                    match before.is_null() {
                        true => self.resting = next,
                        false => (*before).next_resting.with(|slot| *slot = next),
                    }
                    (*heap).resting.store(0, Ordering::Relaxed);
                    return Some(heap);
                }
                (before, heap) = (heap, next);
            }
        }
        None
    }

    /// Leaves a slab of a heap that nobody took up to the others.
    ///
    /// # Safety
    /// The calling thread owns `slab`, which is on no list.
    pub unsafe fn orphan(&mut self, slab: *const Slab) {
        // SAFETY: as the caller promises; until the lock is released nobody takes it over.
        unsafe {
            (*slab).local.with(|local| local.put(Place::Orphans));
            self.orphans[(*slab).class()].push_front(slab);
            self.doubt |= favourite_of(&*slab).is_some() && !planted(Fault::OrphanSure);
            // Release: pairs with the acquire of a thread that reads the owner and takes the lock; what it
            // then touches the lock orders.
            (*slab).owner.store(ORPHANED, Ordering::Release);
        }
    }

    /// Makes `heap` the owner of `slab`, if that has none that lives. The slab is then on no list.
    pub fn take_over(&mut self, slab: *const Slab, heap: *const Heap) -> bool {
        // SAFETY: headers live for ever. Orphans are the lock's; a vanished owner does not exist.
        unsafe {
            match (*slab).owner.load(Ordering::Relaxed) {
                _ if planted(Fault::TakeOverBlind) => {
                    self.orphans[(*slab).class()].remove(slab);
                    (*slab).local.with(|local| local.put(Place::Nowhere));
                }
                NOBODY => return false,
                ORPHANED => {
                    self.orphans[(*slab).class()].remove(slab);
                    (*slab).local.with(|local| local.put(Place::Nowhere));
                }
                owner if has_vanished(owner) => (*slab).rebuild(),
                _ => return false,
            }
            (*slab).owner.store(heap.expose_provenance(), Ordering::Release);
        }
        self.taken_over += 1;
        true
    }

    /// An orphan of `class` that has, or may have, a block to give: taken over for `heap`.
    pub fn adopt(&mut self, class: usize, heap: *const Heap) -> Option<*const Slab> {
        for _ in 0..LOOKS {
            let slab = self.orphans[class].first;
            if slab.is_null() {
                return None;
            }
            // SAFETY: orphans are the lock's.
            unsafe {
                let promising = (*slab).flagged()
                    || (*slab)
                        .local
                        .with(|local| local.has_free() || local.has_unborn((*slab).capacity()));
                if promising {
                    return self.take_over(slab, heap).then_some(slab);
                }
                self.orphans[class].remove(slab);
                self.orphans[class].push_back(slab);
            }
        }
        None
    }

    /// Calls `f` with every orphan.
    pub fn each_orphan(&mut self, mut f: impl FnMut(&mut Shared, *const Slab)) {
        for class in 0..CLASSES {
            let mut slab = self.orphans[class].first;
            while !slab.is_null() {
                // SAFETY: orphans are the lock's; the next is read before `f` may take it off.
                let next = unsafe { (*slab).local.with(|local| local.next) };
                f(self, slab);
                slab = next;
            }
        }
    }

    /// Takes an orphan off its list, for `heap`, whose it is then: who frees into it at this moment, which
    /// can only be a misuse, must not find an orphan that is on no list.
    pub fn unlist_orphan(&mut self, slab: *const Slab, heap: *const Heap) {
        // SAFETY: an orphan, which is the lock's.
        unsafe {
            self.orphans[(*slab).class()].remove(slab);
            (*slab).local.with(|local| local.put(Place::Nowhere));
            (*slab).owner.store(heap.expose_provenance(), Ordering::Release);
        }
    }
}
