//! Calls, function by function, when `DRYSTONE_STATS` asks for them.

use core::sync::atomic::{AtomicU64, Ordering};

/// The functions that handle blocks.
#[derive(Clone, Copy)]
#[repr(usize)]
pub enum Function {
    Malloc,
    Free,
    Calloc,
    Realloc,
    Reallocarray,
    AlignedAlloc,
    PosixMemalign,
    Memalign,
    Valloc,
    Pvalloc,
    MallocUsableSize,
    FreeSized,
    FreeAlignedSized,
    /// Plain and array.
    DeleteSized,
    /// Plain and array.
    DeleteAlignedSized,
}

/// Their names, in the same order.
pub const NAMES: [&str; 15] = [
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
];

const _: () = assert!(Function::DeleteAlignedSized as usize + 1 == NAMES.len());

/// Relaxed throughout: sums that no decision hangs on, read when the program is over.
static CALLS: [AtomicU64; NAMES.len()] = [const { AtomicU64::new(0) }; NAMES.len()];

/// Adds a call of `function`.
pub fn add(function: Function) {
    CALLS[function as usize].fetch_add(1, Ordering::Relaxed);
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
