//! `bulk/allocator/order`: many blocks are allocated, then all are freed.

use criterion::{Criterion, SamplingMode};
use drystone_workloads::patterns::{self, Order};

use crate::allocators::Allocator;
use crate::groups::case::{Case, measure};
use drystone_workloads::heap::Heap;

const SEED: u64 = 2;

/// Blocks per iteration: about 4 MiB in all, more than fits in a second-level cache's half.
const BLOCKS: usize = 20_000;

/// One iteration allocates 20,000 blocks of random sizes (log-uniform, 8 B to 1 KiB), then frees
/// them all: the youngest first (`lifo`), the oldest first (`fifo`), or in random order: 40,000
/// operations.
///
/// It is what building and dropping a large data structure does. Between two iterations nothing is
/// live, so what an allocator then gives back to the OS, and has to fetch again, is in the figure.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("bulk");
    group.sampling_mode(SamplingMode::Flat);
    for order in Order::ALL {
        for allocator in allocators {
            let case = Case { allocator, parameter: order.name(), operations: 2 * BLOCKS };
            measure(
                &mut group,
                case,
                |heap| Bulk::new(heap, order),
                |bencher, bulk| bencher.iter(|| bulk.allocate_and_free()),
            );
        }
    }
    group.finish();
}

struct Bulk {
    heap: Heap,
    sizes: Vec<u32>,
    /// Indices into `blocks`, in the order in which they are freed.
    order: Vec<u32>,
    /// Room for the blocks, filled anew in each iteration.
    blocks: Vec<*mut u8>,
}

impl Bulk {
    fn new(heap: Heap, order: Order) -> Bulk {
        Bulk {
            heap,
            sizes: patterns::small_sizes(SEED, BLOCKS),
            order: order.indices(SEED, BLOCKS),
            blocks: vec![std::ptr::null_mut(); BLOCKS],
        }
    }

    fn allocate_and_free(&mut self) {
        let heap = self.heap;
        for (block, size) in self.blocks.iter_mut().zip(&self.sizes) {
            // SAFETY: sizes are at least 1.
            *block = unsafe { heap.malloc(*size as usize) };
        }
        for index in &self.order {
            // SAFETY: the order holds each index once, so each block, live since above, is freed
            // once.
            unsafe { heap.free(self.blocks[*index as usize]) };
        }
    }
}
