//! `threads/allocator/threads`: several threads on one heap, each with blocks of its own.

use criterion::{Criterion, SamplingMode};
use drystone_workloads::patterns;

use crate::allocators::Allocator;
use crate::groups::alone::ring::Ring;
use crate::groups::case::{Case, measure};
use drystone_workloads::workers::TimedWorkers;

const SEED: u64 = 3;

/// Threads: as many as the smallest machine has cores, and twice as many.
const THREADS: [usize; 2] = [2, 4];

/// Each thread's live blocks.
const SLOTS: usize = 256;

/// Turns of each thread in a pass.
const TURNS: usize = 4096;

/// One iteration is one pass of 4,096 turns by every thread at the same time, each over a ring of
/// 256 blocks of its own (as in the `ring` group, with another seed per thread): 8,192 operations
/// per thread, and the throughput is that of all threads together.
///
/// The threads live as long as the benchmark and are held at barriers between samples; the time is
/// from the first one's beginning to the last one's end.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("threads");
    group.sampling_mode(SamplingMode::Flat);
    for threads in THREADS {
        for allocator in allocators {
            let case = Case { allocator, parameter: threads, operations: threads * 2 * TURNS };
            measure(
                &mut group,
                case,
                |heap| {
                    let thread = allocator.thread;
                    TimedWorkers::start(threads, move |number| {
                        let pattern = patterns::ring(SEED + number as u64, SLOTS, TURNS);
                        let inside = thread.enter();
                        // The ring is dropped first.
                        let mut both = (Ring::filled(heap, pattern), inside);
                        move |passes| {
                            let (ring, _) = &mut both;
                            (0..passes).for_each(|_| ring.pass());
                        }
                    })
                },
                |bencher, workers| bencher.iter_custom(|passes| workers.run(passes)),
            );
        }
    }
    group.finish();
}
