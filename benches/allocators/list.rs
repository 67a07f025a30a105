//! [`ListHeap`] behind the C library's signatures.
//!
//! All benchmarks share one `static` heap, since a function pointer can carry no heap of its own,
//! and this is how a program has it. [`settle`] stands between two benchmarks: it sees to it that
//! no block is live and gives all idle regions back, which leaves the heap as a new one is.

use core::ffi::c_void;

use drystone::{ListHeap, Stats};
use drystone_workloads::calls::Calls;

/// The allocator's name in benchmark ids.
pub const NAME: &str = "list";

static HEAP: ListHeap = ListHeap::new();

/// The heap's functions.
pub const CALLS: Calls =
    Calls { malloc, calloc, realloc, aligned_alloc, free, usable_size: Some(usable_size) };

/// Whether the heap knows a live block at `block`; any address may be asked about.
pub fn owns(address: usize) -> bool {
    HEAP.usable_size(std::ptr::with_exposed_provenance_mut(address)).is_ok()
}

/// What the heap says of itself.
pub fn stats() -> Stats {
    HEAP.stats()
}

/// Gives idle regions back.
///
/// # Panics
///
/// If a block is live, or the heap is not sound.
pub fn settle() {
    HEAP.trim();
    let live = HEAP.stats().live_blocks;
    assert_eq!(live, 0, "a benchmark left {live} blocks in `{NAME}`");
    if let Err(broken) = HEAP.check() {
        panic!("a benchmark left `{NAME}` broken: {broken}");
    }
}

/// Frees what is not live; whether that was rejected.
pub fn rejects(block: *mut u8) -> bool {
    // SAFETY: a pointer that is not live is what this function is there for: it is looked up, and
    // rejected. Benchmarks pass none that another block has been given.
    unsafe { HEAP.try_free(block) }.is_err()
}

unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    HEAP.malloc(size).cast()
}

unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    HEAP.calloc(count, size).cast()
}

unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the C function's contract is the method's: null or a live block of this heap.
    unsafe { HEAP.realloc(block.cast(), size).cast() }
}

unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    HEAP.malloc_aligned(size, align).cast()
}

unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: the C function's contract is the method's: null or a live block of this heap.
    unsafe { HEAP.free(block.cast()) }
}

unsafe extern "C" fn usable_size(block: *mut c_void) -> usize {
    HEAP.usable_size(block.cast()).unwrap_or(0)
}
