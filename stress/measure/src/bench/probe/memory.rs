//! What is live and what is resident for it, at one instant; and what stays resident when nothing
//! is live any more. In a run of its own: every call looks into a table of all blocks, whose own
//! memory is the harness's, and is taken off.
//!
//! This is also where rows whose timed passes don't read their blocks prove their work: an address
//! is given out only while it is not live, and a block's mark is still there when it is freed.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use drystone_harness::usage::Usage;
use drystone_workloads::calls::Calls;
use drystone_workloads::heap::MARK;
use serde::{Deserialize, Serialize};

/// A row's memory, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Requested bytes of all live blocks, near the most that there were: less than a fiftieth and
    /// 4 KiB below it.
    pub live: u64,
    /// Resident at that instant: the allocator's, from its loading on, and the little that the
    /// process has besides.
    pub resident: u64,
    /// The same when the last block had just been freed.
    pub drained: u64,
}

impl Memory {
    /// How many bytes are resident for each live one.
    pub fn fragmentation(self) -> f64 {
        self.resident as f64 / self.live as f64
    }
}

/// Locks, so that threads seldom meet.
const SHARDS: usize = 64;
/// Live bytes by which the next instant lies above the last one: a page, and a fiftieth.
const STEP: (u64, u64) = (4096, 50);

struct Watch {
    calls: Calls,
    /// Whether every block begins with [`MARK`] when it ends.
    marked: bool,
    /// Sizes by address.
    blocks: [Mutex<HashMap<usize, usize>>; SHARDS],
    live: AtomicU64,
    /// Live bytes from which on the next instant is taken.
    next: AtomicU64,
    /// Live and resident bytes at the last.
    peak: Mutex<(u64, u64)>,
}

static WATCH: OnceLock<Watch> = OnceLock::new();

/// The functions that watch the blocks of `calls`, and their marks if the row's blocks are
/// `marked`; once in a process.
pub fn watched(calls: Calls, marked: bool) -> Calls {
    assert!(WATCH.set(Watch::new(calls, marked)).is_ok(), "a process watches one allocator");
    Calls { malloc, calloc, realloc, aligned_alloc, free, usable_size: calls.usable_size }
}

/// Frees all blocks that are live. None where nothing was allocated.
pub fn end() -> Option<Memory> {
    let watch = watch();
    for shard in &watch.blocks {
        for (block, _) in locked(shard).drain() {
            // SAFETY: the block is live, and the row, which has ended, does not use it again.
            unsafe { (watch.calls.free)(std::ptr::with_exposed_provenance_mut(block)) };
        }
    }
    let drained = Watch::resident();
    let (live, resident) = *locked(&watch.peak);
    (live > 0).then_some(Memory { live, resident, drained })
}

fn watch() -> &'static Watch {
    WATCH.get().expect("these functions are given out with the allocator's")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    fn new(calls: Calls, marked: bool) -> Self {
        let blocks = std::array::from_fn(|_| Mutex::default());
        let (live, next, peak) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::new((0, 0)));
        Watch { calls, marked, blocks, live, next, peak }
    }

    fn resident() -> u64 {
        Usage::of_this_process().expect("the kernel shows it").of_the_allocator()
    }

    /// Looks at the resident set if there is more live than at the last instant. Before a call: by
    /// then the block of the one before is written to.
    fn look(&self) {
        // Relaxed: figures. Threads that add and take away meanwhile are not waited for.
        if self.live.load(Ordering::Relaxed) <= self.next.load(Ordering::Relaxed) {
            return;
        }
        let mut peak = locked(&self.peak);
        let live = self.live.load(Ordering::Relaxed);
        if live > self.next.load(Ordering::Relaxed) {
            *peak = (live, Self::resident());
            self.next.store(live + live / STEP.1 + STEP.0, Ordering::Relaxed);
        }
    }

    fn shard(&self, block: *mut c_void) -> MutexGuard<'_, HashMap<usize, usize>> {
        // Blocks of a page and more differ in higher bits.
        let address = block.addr();
        locked(&self.blocks[((address >> 4) ^ (address >> 12) ^ (address >> 20)) % SHARDS])
    }

    fn began(&self, block: *mut c_void, size: usize) -> *mut c_void {
        if !block.is_null() {
            let live = self.shard(block).insert(block.expose_provenance(), size);
            assert_eq!(live, None, "a live block was given out once more");
            self.live.fetch_add(size as u64, Ordering::Relaxed);
        }
        block
    }

    /// Before the free: from then on another thread may have the address.
    fn ended(&self, block: *mut c_void) {
        if !block.is_null() {
            let size = self.shard(block).remove(&block.addr());
            let size = size.expect("a row frees what it allocated");
            if self.marked && size > 0 {
                // SAFETY: the block is live, and its first byte was written.
                let first = unsafe { block.cast::<u8>().read() };
                assert_eq!(first, MARK, "a block of {size} bytes was overwritten");
            }
            self.live.fetch_sub(size as u64, Ordering::Relaxed);
        }
    }
}

unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    let watch = watch();
    watch.look();
    // SAFETY: malloc takes any size.
    watch.began(unsafe { (watch.calls.malloc)(size) }, size)
}

unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    let watch = watch();
    watch.look();
    // SAFETY: the function's contract is the allocator's.
    watch.began(unsafe { (watch.calls.aligned_alloc)(alignment, size) }, size)
}

unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let watch = watch();
    watch.look();
    // SAFETY: calloc takes any sizes.
    watch.began(unsafe { (watch.calls.calloc)(count, size) }, count * size)
}

unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    let watch = watch();
    watch.look();
    watch.ended(block);
    // SAFETY: the function's contract is the allocator's. A row ends at a failed call, so the
    // old block is never live after this.
    watch.began(unsafe { (watch.calls.realloc)(block, size) }, size)
}

unsafe extern "C" fn free(block: *mut c_void) {
    let watch = watch();
    watch.look();
    watch.ended(block);
    // SAFETY: the function's contract is the allocator's.
    unsafe { (watch.calls.free)(block) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_seen_and_everything_is_freed_at_the_end() {
        const MIB: usize = 1 << 20;
        let own = drystone_harness::library::functions_of_this_process(None).unwrap();
        let calls = watched(own, true);
        let written = |block: *mut c_void| {
            // SAFETY: the blocks of this test have this many bytes.
            unsafe { block.cast::<u8>().write_bytes(MARK, MIB) };
            block
        };
        // SAFETY: each block is freed once, those that are left by `end`.
        unsafe {
            let blocks: Vec<_> = (0..64).map(|_| written((calls.malloc)(MIB))).collect();
            blocks.into_iter().for_each(|block| (calls.free)(block));
            let block = written((calls.malloc)(MIB));
            written((calls.realloc)(block, 2 * MIB));
        }
        let memory = end().unwrap();
        assert!(memory.live > 62 << 20 && memory.live <= 64 << 20, "{memory:?}");
        assert!((0.9..1.5).contains(&memory.fragmentation()), "{memory:?}");
        assert!(memory.drained < memory.resident / 2, "{memory:?}");
        assert_eq!(watch().live.load(Ordering::Relaxed), 2 << 20);
    }

    fn alone(marked: bool) -> Watch {
        let own = drystone_harness::library::functions_of_this_process(None).unwrap();
        Watch::new(own, marked)
    }

    #[test]
    #[should_panic(expected = "a live block was given out once more")]
    fn a_block_with_two_owners_is_seen() {
        let (watch, mut bytes) = (alone(false), [0u8; 8]);
        let block = bytes.as_mut_ptr().cast();
        watch.began(block, 8);
        watch.ended(block);
        watch.began(block, 8);
        watch.began(block, 8);
    }

    #[test]
    #[should_panic(expected = "a block of 8 bytes was overwritten")]
    fn a_block_that_lost_its_mark_is_seen() {
        let (watch, mut bytes) = (alone(true), [MARK; 8]);
        let block = bytes.as_mut_ptr();
        watch.began(block.cast(), 8);
        // SAFETY: eight bytes of this function's.
        unsafe { block.write(0) };
        watch.ended(block.cast());
    }
}
