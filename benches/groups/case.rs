//! One benchmark: its place, and how it is measured.

use std::fmt::Display;

use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use drystone_workloads::heap::Heap;

use crate::allocators::Allocator;
use crate::harness;

/// One benchmark's place: whom it measures, under which parameter, and how many operations (calls
/// of the allocator) an iteration makes.
pub struct Case<'a, P> {
    /// Whom it measures.
    pub allocator: &'a Allocator,
    /// Under which parameter.
    pub parameter: P,
    /// Calls of the allocator in an iteration.
    pub operations: usize,
}

/// Measures one case: `prepare` makes what the benchmark works on (blocks, threads), once and
/// outside the measured time, and only if the benchmark is to run; `body` is criterion's.
/// Afterwards what was prepared is dropped, which must free its blocks, and the allocator settles.
pub fn measure<P: Display, S>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    case: Case<'_, P>,
    prepare: impl Fn(Heap) -> S,
    mut body: impl FnMut(&mut Bencher<'_, WallTime>, &mut S),
) {
    let allocator = case.allocator;
    let mut prepared = None;
    group.throughput(Throughput::Elements(case.operations as u64));
    group.bench_function(BenchmarkId::new(allocator.name, case.parameter), |bencher| {
        // Criterion comes here once per sample: what is prepared stays from one to the next.
        let prepared = prepared.get_or_insert_with(|| {
            harness::note_that_one_ran();
            allocator.settle();
            prepare(allocator.heap())
        });
        body(bencher, prepared);
    });
    if let Some(prepared) = prepared {
        drop(prepared);
        allocator.settle();
    }
}

/// A whole group of one call, or a few that leave nothing behind: an iteration is `once` in the
/// allocator's heap. Each allocator runs under each of `parameters`, with as many operations as
/// `operations` says.
pub fn group_of_calls<P: Copy + Display>(
    criterion: &mut Criterion,
    name: &str,
    allocators: &[Allocator],
    parameters: &[P],
    operations: impl Fn(P) -> usize,
    once: impl Fn(Heap, P),
) {
    let mut group = criterion.benchmark_group(name);
    for &parameter in parameters {
        for allocator in allocators {
            let case = Case { allocator, parameter, operations: operations(parameter) };
            measure(
                &mut group,
                case,
                |heap| heap,
                |bencher, heap| {
                    let heap = *heap;
                    bencher.iter(|| once(heap, parameter));
                },
            );
        }
    }
    group.finish();
}
