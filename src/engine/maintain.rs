//! A heap's beginning and end, and what is done now and then.

use core::ptr;

use crate::engine::classes::{self, CLASSES};
use crate::engine::engine::Engine;
use crate::engine::heap::{Heap, IDLE, IDLE_PARKED, Own, Owner, has_vanished, new_heap};
use crate::engine::huge::mapping::{Mapping, Pieces};
use crate::engine::shared::Shared;
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::placeholder::no_slab;
use crate::engine::slab::{ABANDONED, Place, Slab};
use crate::engine::span::decay::DECAY;
use crate::misuse::Misuse;
use crate::os::{Os, whole_pages, whole_steps};
use crate::probe::Probe;
use crate::sync::{AtomicUsize, Ordering, RawLock, this_thread};

/// Refills between two looks at the clock.
pub const TICK: u32 = 16;

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// A heap for the calling thread: one that an exited thread has left, or a new one. `None` when
    /// the OS has no memory for it. Give it back with [`release`](Self::release).
    pub fn claim(&self) -> Option<&Heap> {
        if let Some(heap) = self.locked(Shared::unpark) {
            // What was freed meanwhile comes before memory that was never used.
            // SAFETY: off the list of parked heaps: this thread's.
            self.sweep_if_due(unsafe { heap.owner() });
            return Some(heap);
        }
        self.locked(|shared| {
            let place = shared.cut(&self.os, size_of::<Heap>())?.cast::<Heap>();
            // Made in its place: the thread may have a small stack.
            // SAFETY: fresh memory of that size, at a multiple of 64, for as long as the engine
            // lives.
            unsafe {
                place.write(new_heap(no_slab()));
                // Relaxed, and release below: as at `heaps`.
                (*place).next = self.heaps.load(Ordering::Relaxed);
                (*place).thread = AtomicUsize::new(this_thread());
                self.heaps.store(place, Ordering::Release);
                Some(&*place)
            }
        })
    }

    /// Takes back what others freed, if there is anything, of a few slabs; the others are looked at
    /// by and by.
    fn sweep_if_due(&self, mut owner: Owner<'_>) {
        let heap = owner.heap();
        owner.with(|own| {
            if heap.flagged_slabs.swap(0, Ordering::Acquire) > 0 || own.recheck {
                self.begin_look(own, 0);
                self.look_on(own);
            }
        });
    }

    /// Leaves the heap, with its slabs, to the next thread that claims one. What others freed in a
    /// few of them comes back first, so that misuses there are told with the thread's end; of the
    /// others by the next scan.
    ///
    /// # Safety
    /// The calling thread claimed `heap`, and does not use it after this.
    pub unsafe fn release(&self, heap: &Heap) {
        // SAFETY: the calling thread claimed the heap.
        self.sweep_if_due(unsafe { heap.owner() });
        // SAFETY: the calling thread claimed the heap, and the sweep has let go of it.
        let mut owner = unsafe { heap.owner() };
        owner.with(|own| {
            own.ends = 0;
            self.bound_current(own);
            self.leave_idle(own, IDLE_PARKED);
        });
        let now = self.os.milliseconds();
        self.locked(|shared| {
            shared.park(heap, now);
            self.hint_deferred(shared);
        });
    }

    /// Now and then: takes back what others freed, wherever they did, if it is much or some time
    /// has passed, and lets time work on what is idle. A thread that hardly allocates any more
    /// would else keep all that others freed of its blocks. `own` is of `heap`.
    #[cold]
    pub(super) fn tick(&self, heap: &Heap, own: &mut Own) {
        let now = self.os.milliseconds();
        let flagged = heap.flagged_slabs.load(Ordering::Relaxed);
        let is_time = now.wrapping_sub(own.looked) >= DECAY;
        // What no refill of the last few needed is of use to others.
        self.leave_idle(own, own.idle_bytes - own.idle_low);
        own.idle_low = own.idle_bytes;
        if is_time {
            own.looked = now;
            self.drop_idle(own);
        }
        // One look at a time: a new one would begin at the first slab again, and none ever end.
        let is_due = flagged >= own.patience || is_time && (flagged > 0 || own.recheck);
        if is_due && own.to_look == 0 {
            // Acquire: pairs with the release in `tell_owner`.
            heap.flagged_slabs.swap(0, Ordering::Acquire);
            self.begin_look(own, flagged);
        }
        if own.to_look > 0 {
            self.look_on(own);
        }
        if !is_time {
            // However busy the heap is, it takes the lock for this a few times a second.
            return;
        }
        let (idle, gone) = self.locked(|shared| {
            shared.spans.decay(&self.os);
            shared.is_abandoning |= shared.has_parked_since(now.saturating_sub(DECAY));
            self.note_background_work(shared);
            (shared.take_unneeded(heap, now, DECAY), shared.huge.decay(&self.os, now))
        });
        // SAFETY: empty, and on no list: this heap's.
        unsafe { self.give_back(idle) };
        // SAFETY: no block lives in them, and they are kept no longer.
        unsafe { self.unmap_all(&gone) };
    }

    /// As [`tick`](Self::tick), if this is the refill for it. Whether it was.
    pub(super) fn tick_if_due(&self, heap: &Heap, own: &mut Own) -> bool {
        let due = own.refills % TICK == TICK - 1;
        if due {
            own.refills = own.refills.wrapping_add(1);
            self.tick(heap, own);
        }
        due
    }

    /// For models: what is due now and then.
    ///
    /// # Safety
    /// The calling thread owns `heap`.
    #[cfg(loom)]
    pub unsafe fn tick_now(&self, heap: &Heap) {
        // SAFETY: the calling thread owns the heap.
        unsafe { heap.owner() }.with(|own| self.tick(heap, own));
        self.scan_due.put(1);
        self.background_steps(heap, 0);
    }

    /// Gives all idle memory back that the calling thread can reach: its heap's, the abandoned
    /// slabs', and what all share; of slabs with live blocks the pages without one. Returns bytes.
    /// Other threads' slabs wait for their owners.
    ///
    /// # Safety
    /// The calling thread owns `heap`.
    pub unsafe fn trim(&self, heap: &Heap) -> usize {
        let mut went = 0;
        self.abandon_parked(0);
        // SAFETY: the calling thread owns the heap.
        unsafe { heap.owner() }.with(|own| {
            for class in 0..CLASSES {
                own.drop_current(class, no_slab());
            }
            own.each(|own, slab| {
                if slab.flagged() {
                    self.sweep(own, slab);
                    own.relist(slab);
                }
            });
            self.bound_idle(own, 0);
            own.each(|_, slab| went += self.purge_slab(slab));
        });
        let empty = self.locked(|shared| {
            self.visit_all(shared);
            self.take_empties(shared, heap)
        });
        // SAFETY: empty, and on no list: this heap's.
        unsafe { self.give_back(empty) };
        self.bound_left(heap, 0);
        went += self.purge_abandoned();
        self.locked(|shared| {
            let units = shared.spans.purge(&self.os, 0);
            went + units * classes::UNIT + shared.huge.drop_kept(&self.os)
        })
    }

    /// Gives the pages of abandoned slabs back that hold no part of a live block, some slabs for
    /// each taking of the lock. Returns bytes.
    fn purge_abandoned(&self) -> usize {
        const SLABS: usize = 8;
        let (mut went, mut at) = (0, self.locked(|shared| shared.headers));
        while !at.is_null() {
            self.locked(|_| {
                for _ in 0..SLABS {
                    // SAFETY: headers live as long as the engine, and name the same for ever.
                    let Some(slab) = (unsafe { at.as_ref() }) else { break };
                    at = slab.older;
                    // Relaxed: who abandons or reclaims has the lock.
                    if slab.owner.load(Ordering::Relaxed) == ABANDONED {
                        // SAFETY: abandoned, under the lock.
                        went += self.purge_slab(unsafe { OwnedSlab::new(slab) });
                    }
                }
            });
        }
        went
    }

    /// Gives the pages of a slab back that hold no part of a live block. Returns bytes. The slab is
    /// the calling thread's, or abandoned and the span lock held.
    fn purge_slab(&self, slab: OwnedSlab) -> usize {
        let (page, mut went) = (self.os.page_bytes(), 0);
        slab.idle_runs(|start, bytes| {
            for (start, bytes) in whole_pages(start, bytes, page, self.exact_pages.is_set()) {
                let place = ptr::with_exposed_provenance_mut(start);
                // A trim before this one may have given them back.
                let resident = if bytes > 0 { self.os.resident(place, bytes) } else { 0 };
                // SAFETY: whole pages inside a span, which free blocks alone lie in: nobody refers
                // to their contents. They begin and end as `decommit` wants it.
                if bytes > 0 && unsafe { self.os.decommit(place, bytes) } {
                    went += resident;
                    if start % (2 * page) == page {
                        self.exact_pages.set();
                    }
                }
            }
        });
        went
    }

    /// Looks through the calling thread's heap and the abandoned slabs for blocks that were freed
    /// while they were free, and hands all deferred misuses to `hook`. Returns how many.
    ///
    /// # Safety
    /// The calling thread owns `heap`.
    pub unsafe fn sweep_all(&self, heap: &Heap, hook: impl FnMut(&Misuse)) -> usize {
        // Only slabs with a flag are written to: in a forked child, where this is done at exit, a
        // page that is written to is copied.
        // SAFETY: the calling thread owns the heap.
        unsafe { heap.owner() }.with(|own| {
            own.each(|own, slab| {
                // Moved only if something came back: moving a slab to the end of the list that is
                // being walked, each time it is seen, would never end.
                let any = slab.flagged() && self.sweep(own, slab);
                if any && slab.place() != Place::Current {
                    own.relist(slab);
                }
            });
            self.leave_idle(own, IDLE);
        });
        self.locked(|shared| self.visit_all(shared));
        self.tell_deferred(hook)
    }

    /// For models: a sweep of all slabs whatever their flags say, as a slab that is reclaimed has
    /// one.
    ///
    /// # Safety
    /// The calling thread owns `heap`.
    #[cfg(loom)]
    pub unsafe fn sweep_unasked(&self, heap: &Heap) {
        self.abandon_parked(0);
        // SAFETY: the calling thread owns the heap.
        unsafe { heap.owner() }.with(|own| {
            own.each(|own, slab| {
                if self.sweep(own, slab) && slab.place() != Place::Current {
                    own.relist(slab);
                }
            });
        });
        self.locked(|shared| {
            shared.each_abandoned(|shared, slab| self.sweep_locked(shared, slab));
        });
    }

    /// Gives back what this heap and all share in idle memory, when there is no other.
    #[cold]
    pub(super) fn yield_idle(&self, heap: &Heap, own: &mut Own) {
        for class in 0..CLASSES {
            if own.has_empty_current(class) {
                own.drop_current(class, no_slab());
            }
        }
        self.bound_idle(own, 0);
        self.abandon_parked(0);
        self.bound_left(heap, 0);
        self.locked(|shared| {
            shared.huge.drop_kept(&self.os);
            shared.huge.cut_rooms(&self.os);
            shared.spans.release_empty(&self.os);
        });
    }

    /// Gives mappings back, outside the span lock.
    ///
    /// # Safety
    /// They are mappings of huge blocks; nobody else knows them.
    pub(super) unsafe fn unmap_all(&self, mappings: &Pieces) {
        for &Mapping { start, bytes, .. } in mappings.all() {
            // SAFETY: a mapping, or a piece of one, that nobody else knows. If the OS has no room
            // to unmap (it may need to split), it is lost to us, and harms nobody.
            if !unsafe { self.os.unmap(start, bytes) }
                && let Some((start, bytes)) = whole_steps(start.expose_provenance(), bytes)
            {
                // SAFETY: whole steps of what nobody else knows; most of its pages at least can go.
                unsafe { self.os.decommit(ptr::with_exposed_provenance_mut(start), bytes) };
            }
        }
    }

    /// Makes the calling thread the owner of a slab that has none, and puts it among its own.
    #[cold]
    pub(super) fn reclaim(&self, owner: &mut Owner<'_>, slab: &Slab) {
        let heap = owner.heap();
        let reclaimed = self.locked(|shared| {
            let had_vanished = has_vanished(slab.owner.load(Ordering::Relaxed));
            let reclaimed = shared.reclaim(ptr::from_ref(slab), heap)?;
            if had_vanished {
                // It may have been about to end the slab, and have cleared some of its units.
                self.page_map.set(slab.start(), slab.bytes, slab);
            }
            Some(reclaimed)
        });
        let Some(slab) = reclaimed else { return };
        heap.busily(|| {
            owner.with(|own| {
                own.slabs.add(slab);
                self.sweep(own, slab);
                own.list(slab);
                // Not this one, in which the call goes on: it is the youngest, and shorter.
                self.leave_idle(own, IDLE);
                // A thread that only reclaims would else never look at what it has.
                own.refills = own.refills.wrapping_add(1);
                if !self.tick_if_due(heap, own) && own.to_look > 0 {
                    self.look_on(own);
                }
            });
        });
    }
}
