//! Frees that name the size: C23's functions.
//!
//! A size that the block can't have been asked for with is a misuse, and the block stays live: see
//! `src/engine` for which sizes pass.

use core::ffi::c_void;

use engine::internals::engine::MIN_ALIGN;
use engine::internals::engine::calls::Fast;
use engine::internals::process::calls::{self, Function};
use engine::policy;

use crate::early;
use crate::exports::free_moves;
use crate::heap::HEAP;

/// `free_sized`; C23, 7.24.3.4
///
/// # Safety
/// As [`free`](crate::exports::free).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn free_sized(block: *mut c_void, size: usize) {
    // SAFETY: the caller gives the block up; `fast` is this thread's last free, of this block.
    unsafe {
        let fast = HEAP.free_sized_fast(block.cast(), size);
        freed(fast, block, size, MIN_ALIGN, Function::FreeSized);
    }
}

/// `free_aligned_sized`; C23, 7.24.3.5
///
/// # Safety
/// As [`free`](crate::exports::free).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn free_aligned_sized(block: *mut c_void, align: usize, size: usize) {
    // SAFETY: the caller gives the block up; `fast` is this thread's last free, of this block.
    unsafe {
        let fast = HEAP.free_aligned_sized_fast(block.cast(), size, align);
        freed(fast, block, size, align, Function::FreeAlignedSized);
    }
}

/// The rest of the work after the fast path of a sized free by `function` came to `fast`.
///
/// # Safety
/// As [`free`](crate::exports::free); `fast` is this thread's last free, of this block.
#[inline(always)]
pub(crate) unsafe fn freed(
    fast: Fast,
    block: *mut c_void,
    size: usize,
    align: usize,
    function: Function,
) {
    match fast {
        Fast::Done => {}
        // SAFETY: this thread's last free was of this block, and came to `Moves`.
        Fast::Moves => unsafe { free_moves(block) },
        // SAFETY: the caller gives the block up, and the fast path has not freed it.
        Fast::Slow => unsafe { free_sized_slow(block, size, align, function) },
    }
}

/// # Safety
/// As [`free`](crate::exports::free).
#[cold]
#[inline(never)]
unsafe extern "C" fn free_sized_slow(
    block: *mut c_void,
    size: usize,
    align: usize,
    function: Function,
) {
    if early::owns(block) {
        return;
    }
    calls::pass(function);
    // SAFETY: the caller gives the block up.
    if let Err(misuse) = unsafe { HEAP.free_sized_slow(block.cast(), size, align) } {
        policy::misuse(&misuse);
    }
    HEAP.report_late();
}
