//! `operator delete` of a program that has none of its own: frees, and looks at the size where it
//! is told.

use core::ffi::c_void;

use engine::internals::engine::MIN_ALIGN;
use engine::internals::process::calls::Function;

use crate::exports;
use crate::heap::HEAP;
use crate::operators::table::Operator;
use crate::sized::freed;

/// All those without a size.
///
/// # Safety
/// As [`free`](exports::free).
pub(super) unsafe extern "C" fn plain(block: *mut c_void) {
    // SAFETY: the caller gives the block up.
    unsafe { exports::free(block) }
}

/// Those with a size.
///
/// # Safety
/// As [`free`](exports::free).
pub(super) unsafe extern "C" fn sized(block: *mut c_void, size: usize) {
    // SAFETY: the caller gives the block up; `fast` is this thread's last free, of this block.
    unsafe {
        let fast = HEAP.free_sized_fast(block.cast(), size);
        freed(fast, block, size, MIN_ALIGN, Function::DeleteSized);
    }
}

/// Those with a size and an alignment.
///
/// # Safety
/// As [`free`](exports::free).
pub(super) unsafe extern "C" fn aligned_sized(block: *mut c_void, size: usize, align: usize) {
    // SAFETY: the caller gives the block up; `fast` is this thread's last free, of this block.
    unsafe {
        let fast = HEAP.free_aligned_sized_fast(block.cast(), size, align);
        freed(fast, block, size, align, Function::DeleteAlignedSized);
    }
}

/// The one with a size and an alignment, of a program that has its own without a size.
///
/// # Safety
/// As [`free`](exports::free).
pub(super) unsafe extern "C" fn aligned_sized_passed_on(
    block: *mut c_void,
    _size: usize,
    align: usize,
) {
    // SAFETY: the caller gives the block up.
    unsafe { hand_over(Operator::DeleteAligned, block, align) }
}

/// As [`aligned_sized_passed_on`], for arrays.
///
/// # Safety
/// As [`free`](exports::free).
pub(super) unsafe extern "C" fn array_aligned_sized_passed_on(
    block: *mut c_void,
    _size: usize,
    align: usize,
) {
    // SAFETY: the caller gives the block up.
    unsafe { hand_over(Operator::DeleteArrayAligned, block, align) }
}

/// # Safety
/// As [`free`](exports::free).
unsafe fn hand_over(operator: Operator, block: *mut c_void, align: usize) {
    let Some(address) = operator.of_others() else { return };
    // SAFETY: the address of that operator, which takes a block and an alignment; the caller gives
    // the block up.
    unsafe {
        let operator: unsafe extern "C" fn(*mut c_void, usize) = core::mem::transmute(address);
        operator(block, align);
    }
}
