//! `handoff/allocator/batch`: blocks that one thread allocates and another frees.

use std::sync::Arc;

use criterion::{Criterion, SamplingMode};
use drystone_peers::peer::Thread;
use drystone_workloads::bounded_queue::{BLOCKS as ROOM, BoundedQueue};
use drystone_workloads::patterns;

use crate::allocators::Allocator;
use crate::groups::case::{Case, measure};
use drystone_workloads::heap::{Heap, MARK};
use drystone_workloads::workers::TimedWorkers;

const SEED: u64 = 4;

/// Blocks that change hands at once: each for itself, and a quarter of the queue.
const BATCHES: [usize; 2] = [1, 256];

/// Blocks per pass: a multiple of every batch.
const BLOCKS: usize = 8192;

/// One iteration hands 8,192 blocks of random sizes (log-uniform, 8 B to 1 KiB) from a producer,
/// which allocates them, to a consumer, which looks at each one's first byte and frees it: 16,384
/// operations.
///
/// The blocks travel in batches of the parameter over a queue of 1,024
/// (`workloads::bounded_queue`), whose cost is the same for all allocators, and with batches of 1 a
/// large part of the figure. The threads live as long as the benchmark.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("handoff");
    group.sampling_mode(SamplingMode::Flat);
    for batch in BATCHES {
        assert!(BLOCKS.is_multiple_of(batch) && batch <= ROOM);
        for allocator in allocators {
            let case = Case { allocator, parameter: batch, operations: 2 * BLOCKS };
            measure(
                &mut group,
                case,
                |heap| producer_and_consumer(heap, allocator.thread, batch),
                |bencher, workers| bencher.iter_custom(|passes| workers.run(passes)),
            );
        }
    }
    group.finish();
}

fn producer_and_consumer(heap: Heap, thread: Thread, batch: usize) -> TimedWorkers {
    let queue = Arc::new(BoundedQueue::new());
    let sizes: Arc<[u32]> = patterns::small_sizes(SEED, BLOCKS).into();
    TimedWorkers::start(2, move |number| {
        let (queue, sizes) = (Arc::clone(&queue), Arc::clone(&sizes));
        let inside = thread.enter();
        move |passes| {
            let _ = &inside;
            for _ in 0..passes {
                match number {
                    0 => produce(heap, &queue, &sizes, batch),
                    _ => consume(heap, &queue, sizes.len(), batch),
                }
            }
        }
    })
}

/// Puts a block of each of `sizes` in the queue; `batch` divides their number.
fn produce(heap: Heap, queue: &BoundedQueue, sizes: &[u32], batch: usize) {
    for sizes in sizes.chunks_exact(batch) {
        let mut sizes = sizes.iter();
        queue.put(batch, || {
            let size = *sizes.next().expect("a chunk is as long as a batch");
            // SAFETY: sizes are at least 1.
            unsafe { heap.malloc(size as usize) }
        });
    }
}

/// Takes `blocks` blocks off the queue and frees them; `batch` divides `blocks`.
fn consume(heap: Heap, queue: &BoundedQueue, blocks: usize, batch: usize) {
    for _ in 0..blocks / batch {
        queue.take(batch, |block| {
            // SAFETY: the producer allocated the block and wrote its first byte before it put it on
            // the queue, and does not use it any more; it comes off once.
            unsafe {
                assert_eq!(block.read(), MARK, "the block was overwritten under way");
                heap.free(block);
            }
        });
    }
}
