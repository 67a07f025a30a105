//! The process's one engine, the type that stands for it, and the fast paths of malloc, calloc and
//! free: each decides in a few instructions whether it can serve the call, and does, or leaves all
//! of it to [`slow`](super::slow).
//!
//! | path | for |
//! |---|---|
//! | `malloc_fast`, `malloc_medium` | up to [`DIRECT`] bytes, and above |
//! | `aligned_fast` | an alignment above 16 |
//! | `zeroed_direct`, `zeroed_fast` | calloc: up to [`DIRECT`] bytes, and with an alignment |
//! | `free_fast` | a live block of this thread's own |

use core::ptr::{self, NonNull};

use crate::engine::classes::{CLASSES, LARGEST, MIN_ALIGN, SMALL, class_of_large, class_of_small};
use crate::engine::engine::Engine;
use crate::engine::global::tls;
pub use crate::engine::heap::DIRECT;
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::owner::{Freed, NotLive};
use crate::os::Mmap;
use crate::probe::NoProbe;
use crate::sync::{AtomicBool, FutexLock, Ordering};

/// The process's engine.
pub static ENGINE: Engine<Mmap, NoProbe, FutexLock> =
    Engine::with_parts(Mmap, NoProbe, FutexLock::new());

/// Every call goes the slow way. Relaxed: each thread acts on it when it next gets a heap; who
/// needs more sets it before there are other threads.
pub static DIVERTED: AtomicBool = AtomicBool::new(false);

/// The production allocator of this process: `#[global_allocator]`, or called by hand. All values
/// of the type are one and the same.
///
/// ```
/// use drystone::{Drystone, MisuseKind};
///
/// let block = Drystone.malloc(100);
/// assert!(!block.is_null());
/// // SAFETY: `block` is live.
/// unsafe { Drystone.try_free(block) }.unwrap();
/// // SAFETY: a pointer that is not live is rejected.
/// let misuse = unsafe { Drystone.try_free(block) }.unwrap_err();
/// assert_eq!(misuse.kind, MisuseKind::DoubleFree);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Drystone;

/// What the fast path of free came to.
#[derive(Debug)]
pub enum Fast {
    /// The block is freed.
    Done,
    /// The block is freed, and the slab must move: [`Drystone::free_moves`].
    Moves,
    /// Nothing is done: [`Drystone::free_remote`], then [`Drystone::free_slow`].
    Slow,
}

impl Drystone {
    /// The fast path of malloc: the next block of a current slab, for requests up to [`DIRECT`]
    /// bytes.
    #[doc(hidden)]
    #[inline(always)]
    pub fn malloc_fast(&self, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the fast word is the calling thread's heap, or the empty one.
        if size <= DIRECT { unsafe { (*tls::fast()).current_for(size) }.pop() } else { None }
    }

    /// As [`malloc_fast`](Self::malloc_fast), for requests that it is not for: above [`DIRECT`]
    /// bytes.
    #[doc(hidden)]
    #[inline]
    pub fn malloc_medium(&self, size: usize) -> Option<NonNull<u8>> {
        // Two calls: with one, the first branch takes three instructions more.
        if size <= SMALL {
            pop_of(class_of_small(size))
        } else if size <= LARGEST {
            pop_of(class_of_large(size))
        } else {
            None
        }
    }

    /// As [`malloc_medium`](Self::malloc_medium), for requests above [`SMALL`] bytes, up to
    /// [`LARGEST`].
    #[doc(hidden)]
    #[inline(always)]
    pub fn malloc_large(&self, size: usize) -> Option<NonNull<u8>> {
        pop_of(class_of_large(size))
    }

    /// A block of a current slab, of at least `size` bytes at a multiple of `align`, if one has it.
    #[inline]
    pub(super) fn aligned_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        if align <= MIN_ALIGN && align.is_power_of_two() {
            return if size <= DIRECT { self.malloc_fast(size) } else { self.malloc_medium(size) };
        }
        if align.is_power_of_two() && align <= 4096 && size <= SMALL - align {
            // The multiple that holds the size: a current slab of its class may have an aligned
            // block.
            let class = class_of_small((size.max(1) + align - 1) & !(align - 1));
            if crate::engine::classes::size_of(class).is_multiple_of(align) {
                return pop_of(class);
            }
        }
        None
    }

    /// As [`malloc_fast`](Self::malloc_fast), all zero.
    #[doc(hidden)]
    #[inline(always)]
    pub fn zeroed_direct(&self, size: usize) -> Option<NonNull<u8>> {
        let block = self.malloc_fast(size)?;
        // SAFETY: the block is ours alone until it is returned, and at least `size` bytes long.
        unsafe { clear(block.as_ptr(), size) };
        Some(block)
    }

    /// As [`aligned_fast`](Self::aligned_fast), all zero.
    #[inline]
    pub(super) fn zeroed_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        // Above this, the memory may be fresh, which the slow way knows, and need not be written
        // to.
        if size > SMALL {
            return None;
        }
        if size <= DIRECT && align <= MIN_ALIGN && align.is_power_of_two() {
            return self.zeroed_direct(size);
        }
        let block = self.aligned_fast(size, align)?;
        // SAFETY: the block is ours alone until it is returned, and at least `size` bytes long.
        unsafe { ptr::write_bytes(block.as_ptr(), 0, size) };
        Some(block)
    }

    /// The fast path of free: of a live block of this thread's own.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn free_fast(&self, block: *mut u8) -> Fast {
        let address = block.expose_provenance();
        match owned_slab(address) {
            // SAFETY: the caller gives the block up.
            Some(slab) => unsafe { free_owned(slab, address) },
            None => Fast::Slow,
        }
    }
}

/// The next block of this thread's current slab of `class`, which is below `CLASSES`.
#[inline(always)]
fn pop_of(class: usize) -> Option<NonNull<u8>> {
    debug_assert!(class < CLASSES);
    // SAFETY: the fast word is the calling thread's heap, or the empty one; a class of `classes`.
    unsafe { (*tls::fast()).current(class) }.pop()
}

/// The slab near `address`, if it is this thread's: the address lies there, or many GiB away.
#[inline(always)]
pub(super) fn owned_slab(address: usize) -> Option<OwnedSlab> {
    let slab = ENGINE.page_map.slab_near(address);
    // SAFETY: headers live for ever.
    if !tls::is_fast(unsafe { (*slab).owner.load(Ordering::Relaxed) }) {
        return None;
    }
    // SAFETY: whoever reads its own heap as the owner is the owner.
    Some(unsafe { OwnedSlab::new(slab) })
}

/// The free of the block at `address`, if one that is live starts there. The slab is the one near
/// the address.
///
/// # Safety
/// If a live block starts there, nothing uses it after this call.
#[inline(always)]
pub(super) unsafe fn free_owned(slab: OwnedSlab, address: usize) -> Fast {
    let Some(number) = slab.number_of(address) else { return Fast::Slow };
    // SAFETY: the number of the address.
    match unsafe { slab.free(number, address, &NoProbe) } {
        Ok(Freed::Fine) => Fast::Done,
        Ok(Freed::Move) => Fast::Moves,
        Err(NotLive) => Fast::Slow,
    }
}

/// Fills the first `size` bytes of a block with zeroes, and maybe some more: those of its last 16.
/// Small ones without a call of the C library's `memset`, which takes as long as all the rest of
/// `calloc`.
///
/// # Safety
/// A block of at least `size` bytes starts at `block`, and nobody else uses it.
#[inline(always)]
pub(super) unsafe fn clear(block: *mut u8, size: usize) {
    const STEP: usize = 16;
    // A block is at least one step, and a whole number of them.
    let end = (size.max(1) + STEP - 1) & !(STEP - 1);
    // SAFETY: each branch stores within `end`, which is no longer than the block.
    unsafe {
        let store = |at: usize| ptr::write_bytes(block.add(at), 0, STEP);
        if end > 8 * STEP {
            return ptr::write_bytes(block, 0, size);
        }
        store(0);
        store(end - STEP);
        if end > 2 * STEP {
            store(STEP);
            store(end - 2 * STEP);
        }
        if end > 4 * STEP {
            store(2 * STEP);
            store(3 * STEP);
            store(end - 3 * STEP);
            store(end - 4 * STEP);
        }
    }
}
