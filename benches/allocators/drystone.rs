//! [`Drystone`], the production allocator, behind the C library's signatures.
//!
//! There is one for the process, and each thread that allocates has its heap in it, which it leaves
//! to others when it ends. [`settle`] stands between two benchmarks, whose threads have ended by
//! then: it sees to it that no block is live and gives idle memory back.

use core::ffi::c_void;

use ::drystone::Drystone;
use drystone_workloads::calls::Calls;

/// The allocator's name in benchmark ids.
pub const NAME: &str = "drystone";

/// The allocator's functions.
pub const CALLS: Calls =
    Calls { malloc, calloc, realloc, aligned_alloc, free, usable_size: Some(usable_size) };

/// Whether the allocator knows a live block at `block`; any address may be asked about.
pub fn owns(address: usize) -> bool {
    Drystone.usable_size(std::ptr::with_exposed_provenance_mut(address)).is_ok()
}

/// Whether a freed block waits in the quarantine: then it is not the next one of its size.
pub fn waits() -> bool {
    let block = Drystone.malloc(SOME);
    // SAFETY: the block is live, and not used again.
    unsafe { Drystone.free(block) };
    let next = Drystone.malloc(SOME);
    // SAFETY: this block, too, is live, and not used again.
    unsafe { Drystone.free(next) };
    next != block
}

/// Whether some blocks are guarded: of such a block the allocator knows what was asked for, and of
/// another what it can hold.
pub fn guards() -> bool {
    const MANY: usize = 100_000;
    (0..MANY).any(|_| {
        let block = Drystone.malloc(SOME + 1);
        let usable = Drystone.usable_size(block);
        // SAFETY: the block is live, and not used again.
        unsafe { Drystone.free(block) };
        usable == Ok(SOME + 1)
    })
}

/// Any small size.
const SOME: usize = 64;

/// Gives idle memory back.
///
/// # Panics
///
/// If a block is live, or the heap is not sound.
pub fn settle() {
    // What other threads freed is taken back first.
    let deferred = Drystone.sweep(|_| {});
    assert_eq!(deferred, 0, "a benchmark misused `{NAME}`");
    Drystone.trim();
    let live = Drystone.stats().live_blocks;
    assert_eq!(live, 0, "a benchmark left {live} blocks in `{NAME}`");
    if let Err(broken) = Drystone.check() {
        panic!("a benchmark left `{NAME}` broken: {broken}");
    }
}

/// Frees what is not live; whether that was rejected.
pub fn rejects(block: *mut u8) -> bool {
    // SAFETY: a pointer that is not live is what this function is there for: it is looked up, and
    // rejected. Benchmarks pass none that another block has been given.
    unsafe { Drystone.try_free(block) }.is_err()
}

unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    Drystone.malloc(size).cast()
}

unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    Drystone.calloc(count, size).cast()
}

unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the C function's contract is the method's: null or a live block of this allocator.
    match unsafe { Drystone.try_realloc(block.cast(), size) } {
        Ok(resized) => resized.cast(),
        Err(misuse) => panic!("a benchmark misused `{NAME}`: {misuse}"),
    }
}

unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    Drystone.malloc_aligned(size, align).cast()
}

unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: the C function's contract is the method's: null or a live block of this allocator.
    unsafe { Drystone.free(block.cast()) }
}

unsafe extern "C" fn usable_size(block: *mut c_void) -> usize {
    Drystone.usable_size(block.cast()).unwrap_or(0)
}
