//! `thread/allocator/part`: what a thread's beginning and end cost, if it allocates.

use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};

use crate::allocators::Allocator;
use crate::groups::case::{Case, measure};
use drystone_workloads::heap::Heap;

const SIZE: usize = 64;

/// `first-allocation`: one iteration is a new thread's first malloc, and what the allocator asks of
/// a thread before it: 1 operation; its start is not in the time. `start-and-end`: one iteration is
/// a thread from its start to its end, with one malloc and one free: 2 operations, and most of the
/// time is the C library's and the kernel's, the same for all.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("thread");
    group.sampling_mode(SamplingMode::Flat);
    for (part, operations, whole) in [("first-allocation", 1, false), ("start-and-end", 2, true)] {
        for allocator in allocators {
            let case = Case { allocator, parameter: part, operations };
            measure(
                &mut group,
                case,
                |heap| heap,
                |bencher, heap| {
                    bencher.iter_custom(|passes| {
                        let began = Instant::now();
                        let first: Duration = (0..passes).map(|_| lives(allocator, *heap)).sum();
                        if whole { began.elapsed() } else { first }
                    });
                },
            );
        }
    }
    group.finish();
}

/// How long the first malloc of a thread took, when it has ended.
fn lives(allocator: &Allocator, heap: Heap) -> Duration {
    let inside = allocator.thread;
    let life = move || {
        let began = Instant::now();
        let inside = inside.enter();
        // SAFETY: the size is not 0; the block is freed once.
        let block = unsafe { heap.malloc(SIZE) };
        let took = began.elapsed();
        // SAFETY: the block is live, and not used again.
        unsafe { heap.free(block) };
        drop(inside);
        took
    };
    thread::spawn(life).join().expect("a panic there was printed")
}
