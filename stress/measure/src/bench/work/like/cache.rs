//! `like/cache-scratch`, `like/cache-thrash`: two threads, each of which writes to small blocks
//! that the other never sees. Where they share a cache line, it travels at every write.

use std::sync::Mutex;

use drystone_workloads::heap::Heap;
use drystone_workloads::workers::TimedWorkers;

use crate::bench::work::passes::{Clock, Passes, Work};

const THREADS: usize = 2;
/// Blocks that a thread has in a pass, one after the other.
const BLOCKS: usize = 1000;
/// Increments of each.
const WRITES: u64 = 100;
/// One block's.
const BYTES: usize = 8;

/// A block of this row. Its first owner is the main thread.
struct Given(*mut u64);

// SAFETY: the block goes to one thread, which alone uses it.
unsafe impl Send for Given {}

/// Active false sharing: a pass of each thread is 1,000 blocks of 8 bytes, each counted up a
/// hundred times in memory and freed.
pub(super) fn thrash() -> Work {
    work(|heap| TimedWorkers::start(THREADS, move |_| move |passes| rounds(heap, passes)))
}

/// Passive false sharing: the same, and before the first pass each thread frees a block that was
/// allocated for it beside the other's. An allocator that gives it that block again has the two
/// share a line for good.
pub(super) fn scratch() -> Work {
    work(|heap| {
        let given: Vec<_> = (0..THREADS).map(|_| Mutex::new(Some(Given(counter(heap))))).collect();
        TimedWorkers::start(THREADS, move |number| {
            let block = given[number].lock().expect("a panic ends the process").take();
            let Given(block) = block.expect("a set of workers has one thread of each number");
            counted_up(block);
            // SAFETY: the block is live, and not used again.
            unsafe { heap.free(block.cast()) };
            move |passes| rounds(heap, passes)
        })
    })
}

fn work(workers: impl FnOnce(Heap) -> TimedWorkers + 'static) -> Work {
    let start = move |heap: Heap| {
        let workers = workers(heap);
        Box::new(move |passes| workers.run(passes)) as Passes
    };
    let operations = (THREADS * 2 * BLOCKS) as u64;
    Work { operations, clock: Clock::Wall, start: Box::new(start) }
}

fn rounds(heap: Heap, passes: u64) {
    for _ in 0..passes as usize * BLOCKS {
        let block = counter(heap);
        counted_up(block);
        // SAFETY: the block is live, and not used again.
        unsafe { heap.free(block.cast()) };
    }
}

fn counter(heap: Heap) -> *mut u64 {
    let block = heap.malloc_untouched(BYTES).cast::<u64>();
    // SAFETY: the block has eight bytes, aligned as malloc's are.
    unsafe { block.write(0) };
    block
}

fn counted_up(block: *mut u64) {
    // SAFETY: the block is live and this thread's alone. Volatile, so that each write is made.
    unsafe {
        for _ in 0..WRITES {
            block.write_volatile(block.read_volatile() + 1);
        }
        assert_eq!(block.read_volatile(), WRITES, "another owner wrote to the block");
    }
}
