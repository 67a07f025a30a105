//! Calls by function, counted when `DRYSTONE_STATS` asks for figures.
//!
//! Otherwise it costs nothing: the fast paths do not come here, and when calls are to be counted
//! the engine sends every call the slow way.

// Core's atomics, not `sync`'s: see `environment`. Relaxed throughout: sums that no decision hangs
// on, read when the program is over.
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The functions that handle blocks: those of C and C++, and those of Rust's `GlobalAlloc`.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub enum Function {
    /// `malloc`
    Malloc,
    /// `free`
    Free,
    /// `calloc`
    Calloc,
    /// `realloc`, in Rust too.
    Realloc,
    /// `reallocarray`
    Reallocarray,
    /// `aligned_alloc`
    AlignedAlloc,
    /// `posix_memalign`
    PosixMemalign,
    /// `memalign`
    Memalign,
    /// `valloc`
    Valloc,
    /// `pvalloc`
    Pvalloc,
    /// `malloc_usable_size`
    MallocUsableSize,
    /// `free_sized`
    FreeSized,
    /// `free_aligned_sized`
    FreeAlignedSized,
    /// C++'s sized `delete`, plain and array.
    DeleteSized,
    /// C++'s aligned and sized `delete`, plain and array.
    DeleteAlignedSized,
    /// `GlobalAlloc::alloc`
    Alloc,
    /// `GlobalAlloc::alloc_zeroed`
    AllocZeroed,
    /// `GlobalAlloc::dealloc`
    Dealloc,
}

/// Their names, in the same order.
pub const NAMES: [&str; 18] = [
    "malloc",
    "free",
    "calloc",
    "realloc",
    "reallocarray",
    "aligned_alloc",
    "posix_memalign",
    "memalign",
    "valloc",
    "pvalloc",
    "malloc_usable_size",
    "free_sized",
    "free_aligned_sized",
    "operator_delete_sized",
    "operator_delete_aligned_sized",
    "alloc",
    "alloc_zeroed",
    "dealloc",
];

const _: () = assert!(Function::Dealloc as usize + 1 == NAMES.len());

static COUNTED: AtomicBool = AtomicBool::new(false);

static CALLS: [AtomicU64; NAMES.len()] = [const { AtomicU64::new(0) }; NAMES.len()];

/// Called first thing by every slow way in.
#[inline]
pub fn pass(function: Function) {
    if COUNTED.load(Ordering::Relaxed) {
        add(function);
    }
}

#[cold]
fn add(function: Function) {
    CALLS[function as usize].fetch_add(1, Ordering::Relaxed);
}

/// Counts calls from now on. Before there are threads.
pub fn count() {
    COUNTED.store(true, Ordering::Relaxed);
}

/// Whether calls are counted.
pub fn are_counted() -> bool {
    COUNTED.load(Ordering::Relaxed)
}

/// Calls so far, by name.
pub fn by_name() -> impl Iterator<Item = (&'static str, u64)> {
    NAMES.into_iter().zip(CALLS.iter().map(|calls| calls.load(Ordering::Relaxed)))
}

/// All calls so far.
pub fn sum() -> u64 {
    by_name().map(|(_, calls)| calls).sum()
}

/// Starts over: a forked child answers for its own calls only.
pub fn reset() {
    for calls in &CALLS {
        calls.store(0, Ordering::Relaxed);
    }
}
