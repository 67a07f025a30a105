//! `ListHeap` behind the C interface, for the tools alone. The zoo hunts its faults in a process
//! whose `malloc` it is, and `results/recipes/list-heap.toml` compares two commits of it. It is
//! built beside a copy of the source, into a library of its own; nobody else should preload it.

use core::ffi::{c_int, c_void};
use core::ptr;

use drystone::ListHeap;

static HEAP: ListHeap = ListHeap::new();

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    unsafe extern "C" fn prepare() {
        HEAP.fork_prepare();
    }
    unsafe extern "C" fn parent() {
        // SAFETY: the C library calls it in the thread that has prepared.
        unsafe { HEAP.fork_parent() };
    }
    unsafe extern "C" fn child() {
        // SAFETY: the C library calls it in the child of the thread that has prepared, its only
        // one.
        unsafe { HEAP.fork_child() };
    }
    // SAFETY: the three functions are there as long as the process: libraries with handlers are
    // not unloaded here.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
}

/// `block`, or `errno` if there is none.
fn or_errno(block: *mut u8) -> *mut c_void {
    if block.is_null() {
        set_errno(libc::ENOMEM);
    }
    block.cast()
}

fn errno() -> c_int {
    // SAFETY: it returns the address of this thread's `errno`.
    unsafe { *libc::__errno_location() }
}

fn set_errno(errno: c_int) {
    // SAFETY: it returns the address of this thread's `errno`, which nobody else writes.
    unsafe { *libc::__errno_location() = errno };
}

#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    let before = errno();
    let block = HEAP.malloc(size);
    HEAP.report_late();
    set_errno(before);
    or_errno(block)
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let before = errno();
    let block = HEAP.calloc(count, size);
    HEAP.report_late();
    set_errno(before);
    or_errno(block)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    let before = errno();
    // SAFETY: the caller of `free` gives the block up.
    unsafe { HEAP.free(block.cast()) };
    set_errno(before);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    let before = errno();
    // SAFETY: the caller of `realloc` gives the block up, unless the result is null.
    let resized = unsafe { HEAP.realloc(block.cast(), size) };
    set_errno(before);
    if size == 0 && !block.is_null() { ptr::null_mut() } else { or_errno(resized) }
}

#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        set_errno(libc::EINVAL);
        return ptr::null_mut();
    }
    let before = errno();
    let block = HEAP.malloc_aligned(size, align);
    set_errno(before);
    or_errno(block)
}

#[unsafe(no_mangle)]
extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    aligned_alloc(align, size)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(into: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<usize>()) {
        return libc::EINVAL;
    }
    let before = errno();
    let block = HEAP.malloc_aligned(size, align);
    set_errno(before);
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's pointer is writable.
    unsafe { *into = block.cast() };
    0
}

#[unsafe(no_mangle)]
extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    if block.is_null() { 0 } else { HEAP.usable_size(block.cast()).unwrap_or(0) }
}

#[unsafe(no_mangle)]
extern "C" fn malloc_trim(_pad: usize) -> c_int {
    c_int::from(HEAP.trim() > 0)
}
