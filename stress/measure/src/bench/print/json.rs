//! JSON: one object with `format` and `version`; what is added later leaves the version, what
//! changes its meaning raises it.

use std::collections::BTreeMap;

use drystone_harness::allocators::Allocator;
use drystone_harness::bounds::Bound;
use drystone_harness::output;
use drystone_harness::seed::Seed;
use drystone_harness::stats::{apart, median};
use serde::Serialize;

use crate::bench::bounds::{SMALLEST_PEAK, in_the_means};
use crate::bench::campaign::{Entry, Results};
use crate::bench::instructions::Count;
use crate::bench::job::Sample;
use crate::bench::launch::Failure;
use crate::bench::probe::latency::{KINDS, Percentiles};
use crate::bench::probe::memory::Memory;

#[derive(Serialize)]
struct Report<'a> {
    format: &'static str,
    version: u32,
    seed: Seed,
    rounds: u32,
    quick: bool,
    whole_suite: bool,
    interrupted: bool,
    seconds: f64,
    allocators: &'a [Allocator],
    against: &'a str,
    /// KiB that a peak counts as at least, in the means.
    smallest_peak: f64,
    rows: Vec<Row<'a>>,
    bounds: &'a [Bound],
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    passes: u64,
    threads: u32,
    /// Whether the means are over it too.
    in_the_means: bool,
    /// KiB, one a round.
    floors: &'a [f64],
    floor: Option<f64>,
    a_a_spread: Option<f64>,
    line: Option<Ways>,
    repeats: u32,
    allocators: Vec<Cell<'a>>,
    twin: Cell<'a>,
}

/// A cache line's ways over all samples of a row, in nanoseconds.
#[derive(Serialize)]
struct Ways {
    least: f64,
    median: f64,
    greatest: f64,
}

#[derive(Serialize)]
struct Cell<'a> {
    allocator: &'a str,
    nanoseconds: Option<f64>,
    calls_per_second: Option<f64>,
    peak_above_floor: Option<f64>,
    faults: Option<f64>,
    involuntary_switches: Option<f64>,
    line: Option<f64>,
    /// Medians over the rounds, by kind of call.
    latency: BTreeMap<&'static str, Percentiles>,
    /// The clock's own nanoseconds in each of those.
    clock: Option<u64>,
    /// Bytes.
    memory: Option<Memory>,
    /// Of those, resident for each live one.
    fragmentation: Option<f64>,
    samples: Vec<&'a Sample>,
    failure: Option<&'a Failure>,
}

/// What was measured and judged.
pub(super) fn results(results: &Results, bounds: &[Bound]) -> String {
    let plan = &results.plan;
    let rows = plan.rows.iter().zip(&results.rows).map(|(row, figures)| {
        let cell = |allocator: usize, entry| {
            let name = plan.allocators[allocator].name.as_str();
            Cell::new(name, entry, median(&figures.floors))
        };
        Row {
            name: &row.name,
            passes: row.passes,
            threads: row.kind.threads(),
            in_the_means: in_the_means(row.kind),
            floors: &figures.floors,
            floor: figures.floor(),
            a_a_spread: figures.a_a_spread(),
            line: Ways::of(&figures.ways()),
            repeats: figures.repeats,
            allocators: figures.entries.iter().enumerate().map(|(at, one)| cell(at, one)).collect(),
            twin: cell(0, &figures.twin),
        }
    });
    output::json(&Report {
        format: "drystone-bench-report",
        version: 2,
        seed: plan.seed,
        rounds: plan.rounds,
        quick: plan.quick,
        whole_suite: plan.whole,
        interrupted: results.interrupted,
        seconds: results.elapsed.as_secs_f64(),
        allocators: &plan.allocators,
        against: &plan.allocators[plan.against].name,
        smallest_peak: SMALLEST_PEAK,
        rows: rows.collect(),
        bounds,
    })
}

impl Ways {
    fn of(ways: &[f64]) -> Option<Self> {
        let (least, greatest) = apart(ways.iter().copied())?;
        Some(Self { least, median: median(ways)?, greatest })
    }
}

impl<'a> Cell<'a> {
    fn new(allocator: &'a str, entry: &'a Entry, floor: Option<f64>) -> Self {
        let peak = entry.median(|sample| sample.peak as f64);
        let kinds = KINDS.into_iter().zip(entry.latency());
        Self {
            allocator,
            nanoseconds: entry.median(|sample| sample.nanoseconds),
            calls_per_second: entry.calls_per_second(),
            peak_above_floor: peak.zip(floor).map(|(peak, floor)| peak - floor),
            faults: entry.median(|sample| sample.faults as f64),
            involuntary_switches: entry.median(|sample| sample.switches as f64),
            line: entry.way(),
            latency: kinds.filter_map(|(kind, latency)| Some((kind, latency?))).collect(),
            clock: entry.clock(),
            memory: entry.memory(),
            fragmentation: entry.memory().map(Memory::fragmentation),
            samples: entry.samples.values().collect(),
            failure: entry.failure.as_ref(),
        }
    }
}

#[derive(Serialize)]
struct Counts<'a> {
    format: &'static str,
    version: u32,
    counts: Vec<OneCount<'a>>,
}

/// What was counted.
pub(super) fn counts(counts: &[Count]) -> String {
    output::json(&Counts {
        format: "drystone-instructions-report",
        version: 3,
        counts: counts.iter().map(OneCount::of).collect(),
    })
}

#[derive(Serialize)]
struct OneCount<'a> {
    allocator: &'a Allocator,
    instructions: BTreeMap<&'a str, f64>,
    failure: Option<&'a Failure>,
}

impl<'a> OneCount<'a> {
    fn of(count: &'a Count) -> Self {
        let instructions = count.instructions.iter().copied().collect();
        Self { allocator: &count.allocator, instructions, failure: count.failure.as_ref() }
    }
}
