//! `free-blocks/list/blocks`: what a crowd of free blocks costs the classic allocator.

use criterion::Criterion;
use drystone_workloads::patterns::{self, Order};

use crate::allocators::{Allocator, list};
use crate::groups::case::{Case, measure};
use drystone_workloads::heap::Heap;

const SEED: u64 = 5;

/// Free blocks that lie about. The cost beside the many is to be at most 4 times that beside the
/// few.
const FREE: [usize; 2] = [100, 100_000];

/// Sizes are log-uniform in 16 to 4,095 bytes, those that lie about and those that are asked for.
const SIZES: (u32, u32) = (16, 2048);

/// Pairs in a pass.
const PAIRS: usize = 4096;

/// One iteration is 4,096 pairs of malloc and free, of random sizes, on a heap in which that many
/// free blocks of random sizes lie about, each between two live ones so that they cannot merge:
/// 8,192 operations. Only for `list`, which looks for the best fit among them.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("free-blocks");
    for free in FREE {
        for allocator in allocators.iter().filter(|allocator| allocator.name == list::NAME) {
            let case = Case { allocator, parameter: free, operations: 2 * PAIRS };
            measure(
                &mut group,
                case,
                |heap| Crowded::new(heap, free),
                |bencher, crowded| bencher.iter(|| crowded.pairs()),
            );
        }
    }
    group.finish();
}

/// A heap with free blocks between live ones; the live ones are freed when dropped.
struct Crowded {
    heap: Heap,
    live: Vec<*mut u8>,
    sizes: Vec<u32>,
}

impl Crowded {
    /// Allocates twice as many blocks as shall be free, and frees every other one, in random order.
    fn new(heap: Heap, free: usize) -> Crowded {
        let sizes = patterns::mixed_sizes(SEED, 2 * free, SIZES.0, SIZES.1);
        // SAFETY: sizes are at least 1.
        let blocks = sizes.iter().map(|size| unsafe { heap.malloc(*size as usize) });
        let blocks: Vec<*mut u8> = blocks.collect();
        for index in Order::Random.indices(SEED, free) {
            // SAFETY: the order holds each index once, so each block at an even place is freed
            // once.
            unsafe { heap.free(blocks[2 * index as usize]) };
        }
        // Those at the end of a region may have merged with what was left of it.
        let lying_about = list::stats().free_blocks;
        assert!(lying_about >= free * 99 / 100, "{lying_about} blocks are free instead of {free}");
        let live = blocks.into_iter().skip(1).step_by(2).collect();
        Crowded { heap, live, sizes: patterns::mixed_sizes(SEED + 1, PAIRS, SIZES.0, SIZES.1) }
    }

    fn pairs(&self) {
        for size in &self.sizes {
            // SAFETY: sizes are at least 1; the block is live, and not used after its free.
            unsafe { self.heap.free(self.heap.malloc(*size as usize)) };
        }
    }
}

impl Drop for Crowded {
    fn drop(&mut self) {
        for block in self.live.drain(..) {
            // SAFETY: these are the blocks that were not freed before, and are gone now.
            unsafe { self.heap.free(block) };
        }
    }
}
