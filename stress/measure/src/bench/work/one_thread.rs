//! Rows on one thread.

use drystone_workloads::heap::{Heap, MARK};
use drystone_workloads::patterns::{self, Order, Turn};
use drystone_workloads::trace::Script;

use crate::bench::work::passes::{Clock, Work, slots, timed};

const SEED: u64 = 1;

/// Pairs in a pass.
const PAIRS: u64 = 1000;

/// A pass is 1,000 pairs: malloc, first byte, free.
pub(crate) fn pair(size: usize) -> Work {
    let pass = move |heap: Heap| {
        move || {
            for _ in 0..PAIRS {
                // SAFETY: the size is at least 1; the block is freed once.
                unsafe { heap.free(heap.malloc(size)) };
            }
        }
    };
    Work {
        operations: 2 * PAIRS,
        clock: Clock::Processor,
        start: Box::new(move |heap| timed(pass(heap))),
    }
}

/// A pass is 1,000 pairs: calloc, first byte looked at and written, free.
pub(crate) fn calloc(size: usize) -> Work {
    let pass = move |heap: Heap| {
        move || {
            for _ in 0..PAIRS {
                // SAFETY: the size is at least 1; the block is freed once.
                unsafe { heap.free(heap.calloc(size)) };
            }
        }
    };
    Work {
        operations: 2 * PAIRS,
        clock: Clock::Processor,
        start: Box::new(move |heap| timed(pass(heap))),
    }
}

/// Live blocks of random sizes, of which random ones are replaced.
pub(crate) struct Ring {
    heap: Heap,
    turns: Vec<Turn>,
    blocks: Vec<*mut u8>,
}

/// A ring's data before its blocks are live.
#[derive(Debug)]
pub(crate) struct RingData {
    pattern: patterns::Ring,
    blocks: Vec<*mut u8>,
}

// SAFETY: the pointers are room for a ring's blocks and point nowhere before it is filled.
unsafe impl Send for RingData {}

impl RingData {
    /// `slots` live blocks, and a pass of `turns` turns.
    pub(crate) fn new(seed: u64, count: usize, turns: usize) -> Self {
        Self { pattern: patterns::ring(seed, count, turns), blocks: slots(count) }
    }

    /// Allocates the blocks.
    pub(crate) fn fill(mut self, heap: Heap) -> Ring {
        for (slot, size) in self.blocks.iter_mut().zip(&self.pattern.fill) {
            // SAFETY: a pattern's sizes are at least 1.
            *slot = unsafe { heap.malloc(*size as usize) };
        }
        Ring { heap, turns: self.pattern.turns, blocks: self.blocks }
    }
}

impl Ring {
    /// Makes every turn once.
    pub(crate) fn pass(&mut self) {
        let heap = self.heap;
        for turn in &self.turns {
            let slot = &mut self.blocks[turn.slot as usize];
            // SAFETY: the slot holds a live block, and a new one from here on; sizes are at least
            // 1.
            unsafe {
                heap.free(*slot);
                *slot = heap.malloc(turn.size as usize);
            }
        }
    }
}

/// A pass is 65,536 turns: free a random slot's block, malloc another, of a size log-uniform in 8
/// to 1,023 bytes.
pub(crate) fn ring(slots: usize) -> Work {
    const TURNS: usize = 65_536;
    let data = RingData::new(SEED, slots, TURNS);
    Work {
        operations: 2 * TURNS as u64,
        clock: Clock::Processor,
        start: Box::new(move |heap| {
            let mut ring = data.fill(heap);
            timed(move || ring.pass())
        }),
    }
}

/// A pass allocates 20,000 blocks of sizes uniform in 8 to 120 bytes, 64 on average, then frees
/// them all.
pub(crate) fn bulk(order: Order) -> Work {
    const BLOCKS: usize = 20_000;
    let sizes = patterns::uniform_sizes(SEED, BLOCKS, 8, 120);
    let order = order.indices(SEED, BLOCKS);
    let mut blocks = slots(BLOCKS);
    let pass = move |heap: Heap| {
        move || {
            for (block, size) in blocks.iter_mut().zip(&sizes) {
                // SAFETY: sizes are at least 1.
                *block = unsafe { heap.malloc(*size as usize) };
            }
            for index in &order {
                // SAFETY: the order holds each index once, so each block, live since above, is
                // freed once.
                unsafe { heap.free(blocks[*index as usize]) };
            }
        }
    };
    Work {
        operations: 2 * BLOCKS as u64,
        clock: Clock::Processor,
        start: Box::new(move |heap| timed(pass(heap))),
    }
}

/// A pass is a malloc of 16 bytes, reallocs to twice the size up to `last`, and free. One byte is
/// written to each page that a realloc added.
pub(crate) fn realloc(last: usize) -> Work {
    let sizes = patterns::doubling(16, last);
    Work {
        operations: sizes.len() as u64 + 1,
        clock: Clock::Processor,
        start: Box::new(move |heap| timed(move || grow(heap, &sizes))),
    }
}

/// Takes a buffer through `sizes`, which ascend from at least 1, and frees it.
fn grow(heap: Heap, sizes: &[usize]) {
    const PAGE: usize = 4096;
    // SAFETY: sizes are at least 1; each realloc takes the live block that the call before it
    // returned, and what is written lies below its size; the last is freed once.
    unsafe {
        let mut block = heap.malloc(sizes[0]);
        for step in sizes.windows(2) {
            block = heap.realloc(block, step[1]);
            for at in (step[0]..step[1]).step_by(PAGE) {
                block.add(at).write(MARK);
            }
        }
        assert_eq!(block.add(sizes[0]).read(), MARK, "realloc lost what was written");
        heap.free(block);
    }
}

/// A pass is 100 turns over 20 slots: malloc of 5 to 25 MiB, uniform, a byte written to each page;
/// then a random slot's block is freed, and the new one takes its place. After the benchmark
/// programs of their kind, in which whole buffers come and go: image and video frames, tensors.
pub(crate) fn large() -> Work {
    const SLOTS: usize = 20;
    const TURNS: usize = 100;
    const PAGE: usize = 4096;
    let sizes = patterns::uniform_sizes(SEED, SLOTS + TURNS, 5 << 20, 25 << 20);
    let picks = patterns::uniform_sizes(SEED + 1, TURNS, 0, SLOTS as u32 - 1);
    let fresh = |heap: Heap, size: u32| {
        // SAFETY: the size is at least 1, and what is written lies below it.
        unsafe {
            let block = heap.malloc(size as usize);
            for at in (0..size as usize).step_by(PAGE) {
                block.add(at).write(MARK);
            }
            block
        }
    };
    let mut blocks = slots(SLOTS);
    Work {
        operations: 2 * TURNS as u64,
        clock: Clock::Processor,
        start: Box::new(move |heap| {
            let (fill, turns) = sizes.split_at(SLOTS);
            for (block, size) in blocks.iter_mut().zip(fill) {
                *block = fresh(heap, *size);
            }
            let turns: Vec<_> = turns.iter().copied().zip(picks).collect();
            timed(move || {
                for (size, slot) in &turns {
                    let new = fresh(heap, *size);
                    let old = std::mem::replace(&mut blocks[*slot as usize], new);
                    // SAFETY: it was live, and nobody has it any more.
                    unsafe { heap.free(old) };
                }
            })
        }),
    }
}

/// A pass is every call of a recorded program, of all its threads in one order, and a free of what
/// it never freed.
pub(crate) fn trace(script: Script) -> Work {
    let mut blocks = slots(script.slots);
    let operations = script.steps.len() as u64;
    let pass = move |heap: Heap| move || script.replay(heap, &mut blocks);
    Work { operations, clock: Clock::Processor, start: Box::new(move |heap| timed(pass(heap))) }
}
