//! `calloc/allocator/bytes`, `calloc-fresh/allocator/bytes`: zeroed blocks, of memory that was used
//! and of memory that was not.

use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};

use crate::allocators::Allocator;
use crate::groups::case::{Case, group_of_calls, measure};
use drystone_workloads::heap::{Heap, MARK};

const SIZES: [usize; 2] = [64, 64 << 10];

/// One iteration is calloc, a look at the first byte, a write to it, and free of the same block: 2
/// operations.
///
/// The block is reused, so its zeroing is part of the figure: only memory fresh from the OS is
/// zero.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    group_of_calls(
        criterion,
        "calloc",
        allocators,
        &SIZES,
        |_| 2,
        |heap, size| {
            // SAFETY: the size is not 0; the block is live, and not used after its free.
            unsafe { heap.free(heap.calloc(size)) }
        },
    );
    fresh(criterion, allocators);
}

/// Bytes of the blocks that an iteration allocates anew, all together.
const FRESH: usize = 4 << 20;

/// One iteration is so many callocs that they make 4 MiB, each looked at in its first byte and
/// written there: as many operations. Before it the allocator gives its idle memory back, and after
/// it the blocks are freed; neither is in the time. An allocator that knows memory fresh from the
/// OS for zero leaves it alone.
fn fresh(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("calloc-fresh");
    group.sampling_mode(SamplingMode::Flat);
    for size in SIZES {
        for allocator in allocators {
            let case = Case { allocator, parameter: size, operations: FRESH / size };
            measure(
                &mut group,
                case,
                |heap| (heap, vec![std::ptr::null_mut(); FRESH / size]),
                |bencher, (heap, blocks)| {
                    bencher.iter_custom(|passes| {
                        (0..passes).map(|_| once(allocator, *heap, size, blocks)).sum()
                    });
                },
            );
        }
    }
    group.finish();
}

fn once(allocator: &Allocator, heap: Heap, size: usize, blocks: &mut [*mut u8]) -> Duration {
    allocator.settle();
    let began = Instant::now();
    for block in &mut *blocks {
        // SAFETY: the size is not 0.
        *block = unsafe { heap.calloc(size) };
    }
    let took = began.elapsed();
    for block in blocks {
        // SAFETY: each block is live, bears the mark that was written to it, and is freed once.
        unsafe {
            assert_eq!(block.read(), MARK, "two blocks overlap");
            heap.free(*block);
        }
    }
    took
}
