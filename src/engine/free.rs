//! Every free, as far as it is not the fast path's.

use core::ptr;

use crate::engine::engine::Engine;
use crate::engine::heap::{Heap, IDLE, has_vanished};
use crate::engine::huge::Mapping;
use crate::engine::pagemap::Header;
use crate::engine::report::judge_block;
use crate::engine::slab::owner::Freed;
use crate::engine::slab::remote::Marked;
use crate::engine::slab::{ABANDONED, NOBODY, Slab};
use crate::engine::span::decay::DECAY;
use crate::misuse::{BlockState, Misuse};
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::fault::{Fault, planted};
use crate::sync::{Ordering, RawLock, look_again};

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Frees the block at `address` for the thread that owns `heap`; null is fine. An error changes nothing.
    ///
    /// # Safety
    /// The calling thread owns `heap`. If `address` is a live block, nothing uses it after this call.
    /// If it is anything else, no more is asked for: it is rejected.
    pub unsafe fn try_free(&self, heap: &Heap, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: as the caller promises.
        unsafe { self.free_by(Some(heap), block) }
    }

    /// The free of a thread that can get no heap: a mark, wherever the block lies, for the next owner to find.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free), but for the heap.
    pub unsafe fn free_without_heap(&self, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: as the caller promises.
        unsafe { self.free_by(None, block) }
    }

    /// # Safety
    /// As [`try_free`](Self::try_free), if there is a heap.
    unsafe fn free_by(&self, heap: Option<&Heap>, block: *mut u8) -> Result<(), Misuse> {
        if block.is_null() {
            return Ok(());
        }
        let address = block.expose_provenance();
        loop {
            let slab = match self.page_map.look_up(address) {
                Header::None => return self.reject(self.judge_nowhere(address)),
                Header::Huge(_) => return self.free_huge(address),
                Header::Slab(slab) => slab,
            };
            // SAFETY: headers live as long as the engine.
            let header = unsafe { &*slab };
            let owner = header.owner.load(Ordering::Acquire);
            if owner == NOBODY {
                look_again(); // retired since the look at the map
                continue;
            }
            if let Some(heap) = heap {
                if owner == ptr::from_ref(heap).expose_provenance() {
                    // SAFETY: the calling thread owns heap and slab.
                    return unsafe { self.free_local(heap, slab, address) };
                }
                if owner == ABANDONED || has_vanished(owner) {
                    // SAFETY: the calling thread owns the heap.
                    unsafe { self.reclaim(heap, slab) };
                    continue;
                }
            }
            // SAFETY: the calling thread owns the heap, if there is one; the owner was read just now.
            match unsafe { self.free_in_anothers(heap, header, owner, address) } {
                Marked::Done | Marked::First => return Ok(()),
                Marked::Again => look_again(),
                Marked::Rejected => return self.reject(judge_block(slab, address)),
            }
        }
    }

    /// The free of a block in a slab that is another's: the one place where such a free is made.
    ///
    /// # Safety
    /// The calling thread owns `heap`, if there is one; `owner` was read from the slab before.
    #[inline]
    unsafe fn free_in_anothers(
        &self,
        heap: Option<&Heap>,
        slab: &Slab,
        owner: usize,
        address: usize,
    ) -> Marked {
        let me = heap.map_or(NOBODY, |heap| {
            // SAFETY: the calling thread owns the heap.
            unsafe { heap.before_remote_free() };
            ptr::from_ref(heap).expose_provenance()
        });
        let marked = slab.mark(me, address, &self.probe);
        if matches!(marked, Marked::Done | Marked::First) {
            // SAFETY: the calling thread owns the heap, if there is one; the owner was read before.
            unsafe { self.after_remote_free(heap, slab, owner, marked) };
        }
        marked
    }

    /// What is left to do after the free of another's block has taken effect.
    ///
    /// # Safety
    /// The calling thread owns `heap`, if there is one; `owner` was read from the slab before.
    #[inline]
    unsafe fn after_remote_free(
        &self,
        heap: Option<&Heap>,
        slab: &Slab,
        owner: usize,
        marked: Marked,
    ) {
        if marked == Marked::First && owner > ABANDONED {
            // SAFETY: neither of the two marks, so a heap's address; heaps live as long as the engine.
            let owner = unsafe { &*ptr::with_exposed_provenance::<Heap>(owner) };
            // Release: the flag is up.
            owner.flagged_slabs.fetch_add(1, Ordering::Release);
            let parked = owner.parked_since.load(Ordering::Relaxed) as u64;
            if parked != 0 && self.os.milliseconds().saturating_sub(parked) >= DECAY {
                self.abandon_parked(DECAY);
            }
        }
        // If the owner leaves the slab at this moment: see `abandon_slabs`.
        if let Some(heap) = heap
            && slab.owner.load(Ordering::Relaxed) == ABANDONED
            && !planted(Fault::OwnerUnseen)
        {
            // SAFETY: as the caller promises.
            unsafe { self.reclaim(heap, slab) };
        }
    }

    /// The free by another thread than the owner, as far as it is quick: true if it has taken effect. What
    /// it can't decide, [`try_free`](Self::try_free) does.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[inline]
    pub unsafe fn free_remote(&self, heap: &Heap, block: *mut u8) -> bool {
        let address = block.expose_provenance();
        // SAFETY: headers live as long as the engine.
        let slab = unsafe { &*self.page_map.slab_near(address) };
        let owner = slab.owner.load(Ordering::Acquire);
        if owner <= ABANDONED
            || owner == ptr::from_ref(heap).addr()
            || self.forked.load(Ordering::Relaxed)
        {
            return false;
        }
        // SAFETY: the calling thread owns the heap; the owner was read just now.
        let marked = unsafe { self.free_in_anothers(Some(heap), slab, owner, address) };
        matches!(marked, Marked::Done | Marked::First)
    }

    /// The owner's free.
    unsafe fn free_local(
        &self,
        heap: &Heap,
        slab: *const Slab,
        address: usize,
    ) -> Result<(), Misuse> {
        // SAFETY: as the caller promises; the map says that the address is in the slab.
        unsafe {
            let freed = match (*slab).number_as_owner(address) {
                Some(number) => (*slab).free(number, address, &self.probe),
                None => return self.reject(judge_block(slab, address)),
            };
            match freed {
                Ok(Freed::Fine) => Ok(()),
                Ok(Freed::Move) => {
                    self.move_after_free(heap, slab);
                    Ok(())
                }
                Err(_) => self.reject(judge_block(slab, address)),
            }
        }
    }

    /// After a free that said [`Freed::Move`].
    ///
    /// # Safety
    /// The calling thread owns `heap` and `slab`.
    #[cold]
    pub(crate) unsafe fn move_after_free(&self, heap: &Heap, slab: *const Slab) {
        // SAFETY: as the caller promises.
        unsafe {
            heap.own.with(|own| {
                own.relist(slab);
                self.bound_idle(own, IDLE);
            });
        }
    }

    #[cold]
    fn free_huge(&self, address: usize) -> Result<(), Misuse> {
        let mapping = self.locked(|shared| {
            let header = self.huge_at(address)?;
            // One that waits in quarantine, or that another thread is moving, is not live.
            shared.huge.free_to_use(header, address)?;
            let mapping = shared.huge.remove(header);
            self.page_map.set_huge(address, None);
            (!shared.huge.keep(mapping))
                .then_some(mapping)
                .or(Some(Mapping { bytes: 0, ..mapping }))
        });
        match mapping {
            None => self.reject(self.judge_nowhere(address)),
            Some(Mapping { start, bytes, .. }) => {
                // SAFETY: a whole mapping whose block is freed. If the OS has no room to unmap (it may need
                // to split), the mapping is lost to us, and harms nobody.
                if bytes > 0 && !unsafe { self.os.unmap(start, bytes) } {
                    // SAFETY: as above; its pages at least can go.
                    unsafe { self.os.decommit(start, bytes) };
                }
                Ok(())
            }
        }
    }

    /// Bytes that the live block at `block` can hold.
    ///
    /// # Safety
    /// None beyond a live `heap`: whoever asks about a pointer that is not live gets an error.
    pub fn usable_size(&self, block: *mut u8) -> Result<usize, Misuse> {
        let address = block.expose_provenance();
        let slab = match self.page_map.look_up(address) {
            Header::None => return self.reject(self.judge_nowhere(address)),
            Header::Huge(header) => {
                let size = self.locked(|shared| {
                    shared.huge.free_to_use(header, address).map(|block| block.size)
                });
                return match size {
                    Some(size) => Ok(size),
                    None => self.reject(self.judge_nowhere(address)),
                };
            }
            Header::Slab(slab) => slab,
        };
        // SAFETY: headers live as long as the engine.
        let header = unsafe { &*slab };
        let live =
            header.index_of(address).filter(|_| header.state_at(address) == BlockState::Live);
        match live {
            Some(_) => Ok(header.size),
            None => self.reject(judge_block(slab, address)),
        }
    }

    /// For models: biases the slab of `block` to `heap`, which counts a free.
    #[cfg(loom)]
    pub fn bias(&self, heap: &Heap, block: usize) {
        heap.epoch.fetch_add(1, Ordering::Release);
        let slab = self.page_map.slab_at(block);
        // SAFETY: headers live as long as the engine.
        unsafe { (*slab).biased_to.store(ptr::from_ref(heap).addr(), Ordering::Release) };
    }
}
