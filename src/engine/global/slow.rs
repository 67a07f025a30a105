//! What the fast paths can't do: all of it. And the free of another thread's block, which is quick,
//! but not as quick as those.

use core::ptr;

use crate::engine::classes::MIN_ALIGN;
use crate::engine::global::fast::{Drystone, ENGINE, Fast};
use crate::engine::global::tls::{self, EMPTY};
use crate::engine::quarantine::QUARANTINE;
use crate::engine::slab::Place;
use crate::engine::slab::owned::OwnedSlab;
use crate::guard::GUARD;
use crate::misuse::Misuse;
use crate::policy;
use crate::process::calls::{self, Function};

impl Drystone {
    /// What malloc does when the fast path has no block: all of it.
    #[doc(hidden)]
    #[cold]
    #[inline(never)]
    pub fn malloc_slow(&self, size: usize, align: usize, zero: bool) -> *mut u8 {
        if !align.is_power_of_two() {
            return ptr::null_mut();
        }
        let align = align.max(MIN_ALIGN);
        if GUARD.is_on()
            && let Some(block) = GUARD.sample(size, align)
        {
            self.choose_way_again();
            return block;
        }
        let is_fast = !ptr::eq(tls::fast(), &EMPTY.0);
        // SAFETY: the heap is the calling thread's for the time of the call.
        let block = self.with_heap(|heap| unsafe {
            let block = match zero {
                true => ENGINE.malloc_zeroed(heap, size, align),
                false => ENGINE.malloc(heap, size, align),
            };
            if GUARD.is_on() {
                GUARD.called(size, is_fast.then(|| ENGINE.ready(heap, size, align)));
            }
            block
        });
        block.unwrap_or(ptr::null_mut())
    }

    /// As [`malloc_slow`](Self::malloc_slow), for callers that leave misuses to the [policy]: those
    /// that are deferred are told.
    #[cold]
    #[inline(never)]
    pub(super) fn malloc_slow_and_reports(&self, size: usize, align: usize, zero: bool) -> *mut u8 {
        calls::pass(if zero { Function::AllocZeroed } else { Function::Alloc });
        let block = self.malloc_slow(size, align, zero);
        self.report_late();
        block
    }

    /// The free of a block in a slab of another thread's, as far as it is quick: true if it has
    /// taken effect. What it can't decide, [`free_slow`](Self::free_slow) does.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn free_remote(&self, block: *mut u8) -> bool {
        let heap = tls::fast();
        // The empty one stands there for whoever has none, or must go the slow way.
        // SAFETY: any other is the calling thread's; the caller gives a live block up. Before the C
        // library is relocated it may be no heap, but then no slab has an owner.
        !ptr::eq(heap, &EMPTY.0) && unsafe { ENGINE.free_remote(heap, block) }
    }

    /// What free does when the fast path can't: all of it.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[doc(hidden)]
    #[cold]
    #[inline(never)]
    pub unsafe fn free_slow(&self, block: *mut u8) -> Result<(), Misuse> {
        if block.is_null() {
            return Ok(());
        }
        // SAFETY: the caller gives the block up.
        if unsafe { self.free_remote(block) } {
            return Ok(());
        }
        // SAFETY: the caller gives the block up, and nothing has freed it yet.
        unsafe { self.free_by_engine(block) }
    }

    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[cold]
    #[inline(never)]
    unsafe fn free_by_engine(&self, block: *mut u8) -> Result<(), Misuse> {
        if GUARD.owns(block.addr()) {
            // SAFETY: a live block is given up by the caller.
            return unsafe { ENGINE.free_guarded(block) };
        }
        if !QUARANTINE.is_on() && self.frees_without_heap() {
            // SAFETY: a live block is given up by the caller.
            return unsafe { ENGINE.free_without_heap(block) };
        }
        // SAFETY: a live block is given up by the caller; the heap is the calling thread's for the
        // time of the call.
        self.with_heap(|heap| unsafe {
            if QUARANTINE.is_on() {
                return QUARANTINE.free(&ENGINE, heap, block);
            }
            ENGINE.try_free(heap, block)
        })
        // No memory for a heap: such a thread can still mark.
        .unwrap_or_else(|| unsafe { ENGINE.free_without_heap(block) })
    }

    /// What is left to do after a free by the fast path that said [`Fast::Moves`].
    ///
    /// # Safety
    /// `block` is what that call was about, the last of this thread.
    #[doc(hidden)]
    #[cold]
    pub unsafe fn free_moves(&self, block: *mut u8) {
        // The exact map: in the table that the fast path looked into, another slab may stand by
        // now.
        // SAFETY: the fast word is the owner of the block's slab: the calling thread's.
        unsafe {
            let slab = OwnedSlab::new(ENGINE.page_map.slab_at(block.addr()));
            let heap = &*tls::fast();
            let counted = slab.place() == Place::Current;
            heap.busily(|| ENGINE.move_after_free(&mut heap.owner(), slab));
            if counted && GUARD.is_on() {
                GUARD.freed(GUARD.stride());
                self.choose_way_again();
            }
        }
    }

    /// What is left of a free after a fast path that came to `fast`, for callers that leave misuses
    /// to the [policy].
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free); `fast` is what the last call of this thread came to, of
    /// this block.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn free_rest(&self, block: *mut u8, fast: Fast) {
        match fast {
            Fast::Done => return,
            // SAFETY: this thread's last free was of this block, and came to `Moves`.
            Fast::Moves => unsafe { self.free_moves(block) },
            // SAFETY: the caller gives the block up.
            Fast::Slow => unsafe {
                if !self.free_remote(block)
                    && let Err(misuse) = self.free_slow(block)
                {
                    policy::misuse(&misuse);
                }
            },
        }
        self.report_late();
    }
}
