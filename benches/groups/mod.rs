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
mod case;
mod free_blocks;
mod handoff;
mod pair;
mod realloc;
mod ring;
mod threads;
mod trace;

use criterion::Criterion;

use crate::subjects::Subject;

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
