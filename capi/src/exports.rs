//! The C functions that programs have always had. `include/drystone.h` says what each promises;
//! here is only the Rust side.
//!
//! `errno` is set to `ENOMEM` where there is no memory, to `EINVAL` by an argument that never makes
//! sense, and by nothing else: [`free`] leaves it alone (POSIX.1-2024), and so does everything that
//! succeeds.

use core::ffi::{c_int, c_void};
use core::ptr;

use engine::internals::engine::MIN_ALIGN;
use engine::internals::engine::calls::{Fast, SMALL};
use engine::internals::errno;
use engine::internals::process::calls::{self, Function};
use engine::policy;

use crate::early;
use crate::heap::HEAP;

/// `malloc(3)`; C23, 7.24.3.6
#[unsafe(no_mangle)]
pub(crate) extern "C" fn malloc(size: usize) -> *mut c_void {
    if !early::is_direct(size) {
        return malloc_medium(size);
    }
    match HEAP.malloc_fast(size) {
        Some(block) => block.as_ptr().cast(),
        None => malloc_slow(size),
    }
}

/// `free(3)`; C23, 7.24.3.3
///
/// # Safety
/// If `block` is live, nothing uses it after this call.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: the caller gives the block up. `errno` is kept: the heap's own system calls keep it.
    match unsafe { HEAP.free_fast(block.cast()) } {
        Fast::Done => {}
        // SAFETY: this thread's last free was of this block, and came to `Moves`.
        Fast::Moves => unsafe { free_moves(block) },
        // SAFETY: the caller gives the block up, and the fast path has not freed it.
        Fast::Slow => unsafe { free_remote(block) },
    }
}

/// `calloc(3)`; C23, 7.24.3.2
#[unsafe(no_mangle)]
pub(crate) extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    // An early return each: as one condition it is a word that is made, and then looked at.
    let Some(bytes) = count.checked_mul(size) else { return calloc_slow(count, size) };
    if !early::is_direct(bytes) {
        return calloc_slow(count, size);
    }
    match HEAP.zeroed_direct(bytes) {
        Some(block) => block.as_ptr().cast(),
        None => calloc_slow(count, size),
    }
}

// The slow ways are C functions too: those cannot unwind, so malloc, free and realloc end with a
// jump to them.

#[inline(never)]
extern "C" fn malloc_medium(size: usize) -> *mut c_void {
    if early::is_small(size) {
        return match HEAP.malloc_medium(size) {
            Some(block) => block.as_ptr().cast(),
            None => malloc_slow(size),
        };
    }
    // It was small if a signal's handler has found the library ready just now.
    if !early::is_large(size) || size <= SMALL {
        return malloc_huge(size);
    }
    match HEAP.malloc_large(size) {
        Some(block) => block.as_ptr().cast(),
        None => malloc_slow(size),
    }
}

#[inline(never)]
extern "C" fn malloc_huge(size: usize) -> *mut c_void {
    // While the library is not ready, small requests come here too.
    if early::is_early() { malloc_early(size) } else { malloc_slow(size) }
}

/// The first call, or one before the library is ready.
#[cold]
#[inline(never)]
extern "C" fn malloc_early(size: usize) -> *mut c_void {
    if early::ready() { malloc_slow(size) } else { early::allocate(size, MIN_ALIGN) }
}

#[cold]
#[inline(never)]
extern "C" fn malloc_slow(size: usize) -> *mut c_void {
    calls::pass(Function::Malloc);
    allocated(HEAP.malloc_slow(size, 1, false))
}

/// # Safety
/// As [`realloc`].
#[inline(never)]
unsafe extern "C" fn realloc_slow(block: *mut c_void, size: usize) -> *mut c_void {
    calls::pass(Function::Realloc);
    // SAFETY: the caller gives the block up, unless the call fails.
    unsafe { resized(block, size) }
}

#[inline(never)]
extern "C" fn calloc_slow(count: usize, size: usize) -> *mut c_void {
    if early::is_early() && !early::ready() {
        return match count.checked_mul(size) {
            Some(bytes) => early::allocate(bytes, MIN_ALIGN),
            None => ptr::null_mut(),
        };
    }
    calls::pass(Function::Calloc);
    allocated(HEAP.calloc(count, size))
}

/// # Safety
/// The last free of this thread was of `block`, and said so.
#[cold]
#[inline(never)]
pub(crate) unsafe extern "C" fn free_moves(block: *mut c_void) {
    // SAFETY: this thread's last free was of this block, and came to `Moves`.
    unsafe { HEAP.free_moves(block.cast()) }
    HEAP.report_late();
}

/// # Safety
/// As [`free`].
#[inline(never)]
unsafe extern "C" fn free_remote(block: *mut c_void) {
    // SAFETY: the caller gives the block up.
    if !block.is_null() && unsafe { HEAP.free_remote(block.cast()) } {
        return HEAP.report_late();
    }
    // SAFETY: the caller gives the block up, and nothing has freed it yet.
    unsafe { free_slow(block) }
}

/// # Safety
/// As [`free`].
#[cold]
#[inline(never)]
unsafe extern "C" fn free_slow(block: *mut c_void) {
    if early::owns(block) {
        return;
    }
    calls::pass(Function::Free);
    // SAFETY: the caller gives the block up.
    if let Err(misuse) = unsafe { HEAP.free_slow(block.cast()) } {
        policy::misuse(&misuse);
    }
    HEAP.report_late();
}

/// `realloc(3)`; C23, 7.24.3.7, except that `size` 0, undefined there, frees
///
/// # Safety
/// If `block` is live, nothing uses it after this call, unless the call fails.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller gives the block up, unless the call fails.
    match unsafe { resized_fast(block, size) } {
        Some(resized) => resized,
        // SAFETY: the caller gives the block up, unless the call fails.
        None => unsafe { realloc_slow(block, size) },
    }
}

/// `reallocarray(3)`; POSIX.1-2024
///
/// # Safety
/// As [`realloc`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn reallocarray(
    block: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    calls::pass(Function::Reallocarray);
    let Some(bytes) = count.checked_mul(size) else { return failed(libc::ENOMEM) };
    // SAFETY: the caller gives the block up, unless the call fails.
    match unsafe { resized_fast(block, bytes) } {
        Some(resized) => resized,
        // SAFETY: the caller gives the block up, unless the call fails.
        None => unsafe { resized(block, bytes) },
    }
}

/// `aligned_alloc(3)`; C23, 7.24.3.1
#[unsafe(no_mangle)]
pub(crate) extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    calls::pass(Function::AlignedAlloc);
    if !align.is_power_of_two() {
        return failed(libc::EINVAL);
    }
    aligned(align, size)
}

/// `posix_memalign(3)`; POSIX.1-2024
///
/// # Safety
/// `out` may be written, as a pointer.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn posix_memalign(
    out: *mut *mut c_void,
    align: usize,
    size: usize,
) -> c_int {
    calls::pass(Function::PosixMemalign);
    // A power of two, and a multiple of a pointer's size, which is one too.
    if !align.is_power_of_two() || align < size_of::<*mut c_void>() {
        return libc::EINVAL;
    }
    let block = match aligned_early(align, size) {
        Some(block) => block,
        None => HEAP.malloc_aligned(size, align).cast(),
    };
    HEAP.report_late();
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: `out` may be written, as a pointer.
    unsafe { out.write(block) };
    0
}

/// `memalign(3)`. An alignment that is no power of two is rounded up to one, as glibc's does it:
/// programs written for that go on working.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    calls::pass(Function::Memalign);
    match align.checked_next_power_of_two() {
        Some(align) => aligned(align, size),
        None => failed(libc::EINVAL),
    }
}

/// `valloc(3)`
#[unsafe(no_mangle)]
pub(crate) extern "C" fn valloc(size: usize) -> *mut c_void {
    calls::pass(Function::Valloc);
    aligned(page_size(), size)
}

/// `pvalloc(3)`
#[unsafe(no_mangle)]
pub(crate) extern "C" fn pvalloc(size: usize) -> *mut c_void {
    calls::pass(Function::Pvalloc);
    let page = page_size();
    match size.checked_next_multiple_of(page) {
        Some(size) => aligned(page, size),
        None => failed(libc::ENOMEM),
    }
}

/// `malloc_usable_size(3)`
///
/// # Safety
/// None beyond that of any C function: a pointer that is not a live block is a misuse.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    calls::pass(Function::MallocUsableSize);
    if block.is_null() {
        return 0;
    }
    if early::owns(block) {
        // SAFETY: `block` is an early block, and those are never given out again.
        return unsafe { early::size_of_block(block) };
    }
    let size = HEAP.usable_size(block.cast()).unwrap_or_else(|misuse| {
        policy::misuse(&misuse);
        0
    });
    HEAP.report_late();
    size
}

/// The fast path of [`realloc`], and of [`reallocarray`] once it has multiplied. Before the library
/// is ready there is none.
///
/// # Safety
/// As [`realloc`].
#[inline(always)]
unsafe fn resized_fast(block: *mut c_void, size: usize) -> Option<*mut c_void> {
    if early::is_early() || size == 0 {
        return None;
    }
    // SAFETY: the caller gives the block up, unless the call fails.
    let resized = unsafe { HEAP.realloc_fast(block.cast(), size) }?;
    // Where the block was, a slab may have ended, and a misuse have come to light.
    HEAP.report_late();
    Some(resized.as_ptr().cast())
}

/// The rest of both.
///
/// # Safety
/// As [`realloc`].
unsafe fn resized(block: *mut c_void, size: usize) -> *mut c_void {
    if early::owns(block) || (block.is_null() && early::is_early()) {
        // SAFETY: `block` is null, or an early one that the caller gives up, unless the call fails.
        return unsafe { resized_early(block, size) };
    }
    let frees = size == 0 && !block.is_null();
    // SAFETY: the caller gives the block up, unless the call fails.
    let resized = unsafe {
        match frees {
            true => HEAP.try_free(block.cast()).map(|()| ptr::null_mut()),
            false => HEAP.realloc_slow(block.cast(), size, MIN_ALIGN),
        }
    };
    let result = match resized {
        Ok(new) if new.is_null() && (size > 0 || block.is_null()) => failed(libc::ENOMEM),
        Ok(new) => new.cast(),
        Err(misuse) => {
            policy::misuse(&misuse);
            failed(libc::EINVAL)
        }
    };
    HEAP.report_late();
    result
}

/// The realloc of a block from before the library was ready, or before it is.
///
/// # Safety
/// As [`realloc`]; the block is one of those, or null.
#[cold]
#[inline(never)]
unsafe fn resized_early(block: *mut c_void, size: usize) -> *mut c_void {
    if size == 0 && !block.is_null() {
        return ptr::null_mut();
    }
    let new = malloc_early(size);
    if !new.is_null() && !block.is_null() {
        // SAFETY: both hold so many bytes; the old block is an early one that the caller gives up,
        // and a new block overlaps no other.
        unsafe { early::copy(block, new, early::size_of_block(block).min(size)) };
    }
    new
}

/// A block at a multiple of `align`, a power of two.
#[inline]
fn aligned(align: usize, size: usize) -> *mut c_void {
    match aligned_early(align, size) {
        Some(block) => block,
        None => allocated(HEAP.malloc_aligned(size, align)),
    }
}

/// A block at a multiple of `align`, before the library is ready: then `Some`, null when there is
/// no room.
#[inline(always)]
fn aligned_early(align: usize, size: usize) -> Option<*mut c_void> {
    (early::is_early() && !early::ready()).then(|| early::allocate(size, align))
}

#[inline]
fn allocated(block: *mut u8) -> *mut c_void {
    HEAP.report_late();
    if block.is_null() {
        return failed(libc::ENOMEM);
    }
    block.cast()
}

#[cold]
fn failed(error: c_int) -> *mut c_void {
    errno::set(error);
    ptr::null_mut()
}

/// Bytes of the system's pages, a power of two.
fn page_size() -> usize {
    // SAFETY: getauxval takes a number and cannot fail; every Linux kernel passes AT_PAGESZ.
    unsafe { libc::getauxval(libc::AT_PAGESZ) as usize }
}
