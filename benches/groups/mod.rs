//! What is measured: one file per family of benchmarks, each saying what an iteration is.
//!
//! Subjects stand side by side: for each parameter all of them are measured one after the other, so
//! that a machine that slows down in the course of a run slows them all. The patterns come from
//! fixed seeds and are the same for every subject and in every run.
//!
//! Groups whose iteration takes long (from about 0.1 ms) ask for flat sampling, that is, for
//! samples of equally many iterations: criterion's default would want 1,275 of them.

mod bulk;
mod calloc;
mod free_blocks;
mod handoff;
mod pair;
mod realloc;
mod ring;
mod threads;
mod trace;

use std::fmt::Display;

use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, BenchmarkId, Criterion, Throughput};

use crate::harness;
use crate::subjects::Subject;
use drystone_workloads::heap::Heap;

/// All groups, in the order in which they run.
pub const ALL: [fn(&mut Criterion, &[Subject]); 9] = [
    pair::bench,
    calloc::bench,
    realloc::bench,
    ring::bench,
    bulk::bench,
    threads::bench,
    handoff::bench,
    trace::bench,
    free_blocks::bench,
];

/// One benchmark's place: whom it measures, under which parameter, and how many operations (calls
/// of the allocator) an iteration makes.
struct Case<'a, P> {
    subject: &'a Subject,
    parameter: P,
    operations: usize,
}

/// Measures one case: `prepare` makes what the benchmark works on (blocks, threads), once and
/// outside the measured time, and only if the benchmark is to run; `body` is criterion's.
/// Afterwards what was prepared is dropped, which must free its blocks, and the subject settles.
fn measure<P: Display, S>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    case: Case<'_, P>,
    prepare: impl Fn(Heap) -> S,
    mut body: impl FnMut(&mut Bencher<'_, WallTime>, &mut S),
) {
    let subject = case.subject;
    let mut prepared = None;
    group.throughput(Throughput::Elements(case.operations as u64));
    group.bench_function(BenchmarkId::new(subject.name, case.parameter), |bencher| {
        // Criterion comes here once per sample: what is prepared stays from one to the next.
        let prepared = prepared.get_or_insert_with(|| {
            harness::note_that_one_ran();
            subject.settle();
            prepare(subject.heap())
        });
        body(bencher, prepared);
    });
    if let Some(prepared) = prepared {
        drop(prepared);
        subject.settle();
    }
}
