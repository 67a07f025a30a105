//! What the workers of one round share.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize};

use crossbeam::utils::CachePadded;
use drystone_checker::violation::{self, Kind};

use crate::allocators::process::{OpenAllocator, Own};
use crate::child::workers::barrier::SpinBarrier;
use crate::child::workload::double_free::rules::Rules;

/// What one worker did in a double free; read by the judge behind a barrier, which orders it.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    /// Frees of the block.
    pub frees: AtomicU64,
    /// Of these, the ones that took effect.
    pub effective: AtomicU64,
    /// How often it got the block anew, and has freed it again.
    pub again: AtomicU64,
    /// The block that it got last, and holds.
    pub reused: AtomicPtr<c_void>,
}

/// What the workers of one round share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    /// Whom they call.
    pub allocator: &'a OpenAllocator,
    /// How it answers each free.
    pub own: Own,
    /// Of all choices.
    pub seed: u64,
    /// Where all meet between two steps.
    pub barrier: SpinBarrier,
    /// The block that is freed twice.
    pub block: AtomicPtr<c_void>,
    /// Each worker's.
    pub deeds: Vec<CachePadded<Deeds>>,
    /// Frees under way at this moment.
    pub under_way: CachePadded<AtomicUsize>,
    /// Whether two were under way at once in this double free.
    pub raced: AtomicBool,
    /// Whether the round ends.
    pub over: AtomicBool,
}

impl<'a> Shared<'a> {
    /// For `workers` workers on a heap that answers each free.
    pub(super) fn new(allocator: &'a OpenAllocator, own: Own, seed: u64, workers: usize) -> Self {
        Self {
            allocator,
            own,
            seed,
            barrier: SpinBarrier::new(workers),
            block: AtomicPtr::new(null_mut()),
            deeds: (0..workers).map(|_| CachePadded::default()).collect(),
            under_way: CachePadded::default(),
            raced: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }
}

/// Frees a block that nobody but `worker`, its one holder, can free.
pub(super) fn free_held(own: Own, worker: usize, block: *mut c_void, rules: Rules) {
    if block.is_null() {
        let expected = format!("a block of {} bytes for worker {worker}", rules.size);
        violation::raise(Kind::UnprovokedNull, &expected, "null");
    }
    // SAFETY: the block is held by a worker that makes no use of it.
    if let Err(misuse) = unsafe { (own.try_free)(block) } {
        let expected = format!("worker {worker}'s block {block:p} to be its own and live");
        violation::raise(Kind::Sums, &expected, misuse.to_string());
    }
}
