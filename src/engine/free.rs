//! Every free, as far as the fast path can't do it.
//!
//! | case | function |
//! |---|---|
//! | any pointer, any thread, with a heap or without | `free_any`, by `try_free` and `free_without_heap` |
//! | in the thread's own slab | `free_local` |
//! | in a slab that is another's | `free_remote_in`; `free_remote`, where that is quick |
//! | a mapping of its own | `free_huge` |
//!
//! What a remote free does, step by step: [`remote`](crate::engine::slab::remote).

use core::ptr;

use crate::engine::engine::Engine;
use crate::engine::heap::{Heap, IDLE, Owner, has_vanished};
use crate::engine::pagemap::Header;
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::owner::{Freed, NotLive};
use crate::engine::slab::remote::Marked;
use crate::engine::slab::{ABANDONED, NOBODY, Slab};
use crate::engine::span::decay::DECAY;
use crate::misuse::{BlockState, Misuse};
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::fault::{Fault, planted};
use crate::sync::{Ordering, RawLock, look_again};

/// A remote free's mark, tried by a thread with a heap.
#[derive(Clone, Copy)]
struct Tried {
    marked: Marked,
    /// The free was counted where others see it: see [`Owner::before_remote_free`].
    counted: bool,
}

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Frees `block` for the thread that owns `heap`; null is fine. An error changes nothing.
    ///
    /// # Safety
    /// The calling thread owns `heap`. If `block` is live, nothing uses it after this call.
    /// If it is anything else, no more is asked for: it is rejected.
    pub unsafe fn try_free(&self, heap: &Heap, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: the calling thread owns the heap, and gives the block up.
        unsafe { self.free_any(Some(heap.owner()), block) }
    }

    /// The free of a thread that can get no heap: a mark, wherever the block lies, for the next
    /// owner to find.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free), except for the heap.
    pub unsafe fn free_without_heap(&self, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: the caller gives the block up.
        unsafe { self.free_any(None, block) }
    }

    /// The free of any pointer by any thread.
    ///
    /// # Safety
    /// If `block` is live, nothing uses it after this call.
    unsafe fn free_any(&self, mut owner: Option<Owner<'_>>, block: *mut u8) -> Result<(), Misuse> {
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
            let slab_owner = header.owner.load(Ordering::Acquire);
            if slab_owner == NOBODY {
                look_again(); // retired since the look at the map
                continue;
            }
            if let Some(owner) = &mut owner {
                if slab_owner == owner.address() {
                    // SAFETY: whoever reads its own heap as the owner is the owner.
                    return self.free_local(owner, unsafe { OwnedSlab::new(slab) }, address);
                }
                if slab_owner == ABANDONED || has_vanished(slab_owner) {
                    self.reclaim(owner, header);
                    continue;
                }
            }
            // SAFETY: the owner was read just now.
            match unsafe { self.free_remote_in(owner.as_mut(), header, slab_owner, address) } {
                Marked::Done | Marked::First => {
                    // Until the look is over, each call of this thread comes here.
                    owner.iter_mut().for_each(|owner| self.look_if_under_way(owner));
                    return Ok(());
                }
                Marked::Again => look_again(),
                Marked::Rejected => return self.reject(self.judge_block(slab, address)),
            }
        }
    }

    /// The free by another thread than the owner, as far as it is quick: true if it has taken
    /// effect. What it can't decide, [`try_free`](Self::try_free) does.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free). While no slab has an owner, `heap` may be no heap.
    #[inline]
    pub unsafe fn free_remote(&self, heap: *const Heap, block: *mut u8) -> bool {
        let address = block.expose_provenance();
        // SAFETY: headers live as long as the engine.
        let slab = unsafe { &*self.page_map.slab_near(address) };
        let slab_owner = slab.owner.load(Ordering::Acquire);
        if slab_owner <= ABANDONED
            || slab_owner == heap.addr()
            || self.forked.load(Ordering::Relaxed)
        {
            return false;
        }
        // SAFETY: a slab has an owner, so the heap is one, and the calling thread owns it.
        let mut owner = unsafe { (*heap).owner() };
        let tried = self.mark_for(&mut owner, slab, address);
        // The look at the owner is the one of `after_mark`.
        if tried.marked == Marked::Done
            && !tried.counted
            && slab.owner.load(Ordering::Relaxed) != ABANDONED
        {
            return true;
        }
        // SAFETY: the owner was read just now.
        unsafe { self.after_mark(&mut owner, slab, slab_owner, tried) };
        matches!(tried.marked, Marked::Done | Marked::First)
    }

    /// The free of a block in a slab that is another's, by a thread with a heap or without.
    ///
    /// # Safety
    /// `slab_owner` was read from the slab before.
    unsafe fn free_remote_in(
        &self,
        owner: Option<&mut Owner<'_>>,
        slab: &Slab,
        slab_owner: usize,
        address: usize,
    ) -> Marked {
        let Some(owner) = owner else {
            let marked = slab.mark(NOBODY, address, &self.probe);
            // SAFETY: `slab_owner` was read from the slab.
            unsafe { self.tell_owner(slab_owner, marked) };
            return marked;
        };
        let tried = self.mark_for(owner, slab, address);
        // SAFETY: `slab_owner` was read from the slab.
        unsafe { self.after_mark(owner, slab, slab_owner, tried) };
        tried.marked
    }

    /// Marks the block at `address` for the owner of a heap.
    #[inline(always)]
    fn mark_for(&self, owner: &mut Owner<'_>, slab: &Slab, address: usize) -> Tried {
        let counted = owner.before_remote_free();
        let marked = owner.at_mark(|| slab.mark(owner.address(), address, &self.probe));
        Tried { marked, counted }
    }

    /// The rest of a remote free, behind its mark, where there is any.
    ///
    /// # Safety
    /// `slab_owner` was read from the slab before.
    #[cold]
    unsafe fn after_mark(
        &self,
        owner: &mut Owner<'_>,
        slab: &Slab,
        slab_owner: usize,
        Tried { marked, counted }: Tried,
    ) {
        if matches!(marked, Marked::Done | Marked::First) {
            // SAFETY: `slab_owner` was read from the slab.
            unsafe { self.tell_owner(slab_owner, marked) };
            // If the owner leaves the slab at this moment: see `abandon_slab`.
            if slab.owner.load(Ordering::Relaxed) == ABANDONED && !planted(Fault::OwnerUnseen) {
                self.reclaim(owner, slab);
            }
        }
        // Behind the mark: what is done here may change the slab's owner.
        if counted {
            self.background_steps(owner.heap(), 0);
        }
    }

    /// Counts a flag that was raised for the slab's owner, if one was. If that heap has been parked
    /// for long, some of it is abandoned.
    ///
    /// # Safety
    /// `slab_owner` was read from a slab.
    #[inline]
    unsafe fn tell_owner(&self, slab_owner: usize, marked: Marked) {
        if marked == Marked::First {
            self.scan_wanted.set();
        }
        if marked == Marked::First && slab_owner > ABANDONED {
            // SAFETY: neither `NOBODY` nor `ABANDONED`, so a heap's address; heaps live as long as
            // the engine.
            let owner = unsafe { &*ptr::with_exposed_provenance::<Heap>(slab_owner) };
            // Release: the flag is up.
            owner.flagged_slabs.fetch_add(1, Ordering::Release);
            let parked = owner.parked_since.load(Ordering::Relaxed) as u64;
            if parked != 0 && self.os.milliseconds().saturating_sub(parked) >= DECAY {
                self.abandon_some(DECAY, 0);
            }
        }
    }

    /// The owner's free of what the page map says lies in `slab`.
    fn free_local(
        &self,
        owner: &mut Owner<'_>,
        slab: OwnedSlab,
        address: usize,
    ) -> Result<(), Misuse> {
        let freed = match slab.number_of(address) {
            // SAFETY: the number of the address.
            Some(number) => unsafe { slab.free(number, address, &self.probe) },
            None => Err(NotLive),
        };
        match freed {
            Ok(Freed::Fine) => {
                self.look_if_under_way(owner);
                Ok(())
            }
            Ok(Freed::Move) => {
                self.move_after_free(owner, slab);
                Ok(())
            }
            Err(NotLive) => self.reject(self.judge_block(slab.as_ptr(), address)),
        }
    }

    /// After a free that said [`Freed::Move`].
    #[cold]
    pub(super) fn move_after_free(&self, owner: &mut Owner<'_>, slab: OwnedSlab) {
        owner.with(|own| {
            own.relist(slab);
            self.leave_idle(own, IDLE);
        });
    }

    #[cold]
    fn free_huge(&self, address: usize) -> Result<(), Misuse> {
        let now = self.os.milliseconds();
        let gone = self.locked(|shared| {
            let header = self.huge_at(address)?;
            // One that waits in quarantine, or that another thread is moving, is not live.
            shared.huge.free_to_use(header, address)?;
            let freed = shared.huge.remove(header);
            self.page_map.set_huge(address, None);
            Some(shared.huge.keep(freed, now))
        });
        match gone {
            None => self.reject(self.judge_nowhere(address)),
            Some(gone) => {
                // SAFETY: no block lives in them, and they are kept no longer.
                unsafe { self.unmap_all(&gone) };
                Ok(())
            }
        }
    }

    /// Bytes that the live block at `block` can hold.
    ///
    /// # Errors
    /// The pointer is no live block's.
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
            None => self.reject(self.judge_block(slab, address)),
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
