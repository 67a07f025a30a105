//! What is measured: one file per family of benchmarks, each saying what an iteration is.
//!
//! Allocators stand side by side: for each parameter all of them are measured one after the other,
//! so that a machine that slows down in the course of a run slows them all. The patterns come from
//! fixed seeds and are the same for every allocator and in every run.
//!
//! Groups whose iteration takes long (from about 0.1 ms) ask for flat sampling, that is, for
//! samples of equally many iterations: criterion's default would want 1,275 of them.

pub mod alone;
mod case;
pub mod threads;
pub mod variables;

use criterion::Criterion;

use crate::allocators::Allocator;

/// All groups, in the order in which they run.
pub const ALL: [fn(&mut Criterion, &[Allocator]); 17] = [
    alone::pair::bench,
    alone::calloc::bench,
    alone::realloc::bench,
    alone::resize::bench,
    alone::aligned::bench,
    alone::ring::bench,
    alone::bulk::bench,
    threads::private::bench,
    threads::shared::bench,
    threads::handoff::bench,
    threads::remote::bench,
    threads::life::bench,
    alone::trace::bench,
    alone::free_blocks::bench,
    alone::rejected::bench,
    variables::quarantine::bench,
    variables::guard::bench,
];
