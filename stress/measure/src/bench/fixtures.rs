//! For tests: results that nobody measured, for what judges and prints them, and folders without
//! libraries.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use drystone_harness::allocators::Allocator;
use drystone_harness::seed::Seed;

use crate::bench::campaign::{Entry, Results, RowResults};
use crate::bench::cli::Plan;
use crate::bench::job::{Gains, Sample};
use crate::bench::launch::Failure;
use crate::bench::probe::latency::{Latencies, Percentiles};
use crate::bench::probe::line::Line;
use crate::bench::probe::memory::Memory;
use crate::bench::suite::{Kind, Row};

const ROUNDS: u32 = 7;
const ROWS: [(&str, Kind); 4] = [
    ("pair/16", Kind::Pair(16)),
    ("handoff/1", Kind::HandOff(1)),
    ("churn", Kind::Churn),
    ("scaling", Kind::Scaling),
];

/// A whole suite of four rows, in which every call of `drystone` takes `ours` nanoseconds and every
/// call of a peer as many as stand beside its name; peaks are 100 KiB for each nanosecond.
pub(crate) fn results(ours: f64, peers: &[(&str, f64)]) -> Results {
    let all: Vec<(&str, f64)> = [("drystone", ours)].into_iter().chain(peers.to_vec()).collect();
    let allocator = |(name, _): &(&str, f64)| Allocator {
        name: (*name).to_owned(),
        library: Some(PathBuf::from(format!("/lib/{name}.so"))),
        version: "1.0".to_owned(),
    };
    let allocators: Vec<Allocator> = all.iter().map(allocator).collect();
    let against = allocators.iter().position(|allocator| allocator.name == "mimalloc").unwrap_or(0);
    let row =
        |(name, kind): (&str, Kind)| Row { name: name.to_owned(), kind, passes: 10, trace: None };
    let figures = |kind| RowResults {
        floors: vec![4000.0; ROUNDS as usize],
        entries: all.iter().map(|(_, nanoseconds)| entry(kind, *nanoseconds)).collect(),
        twin: entry(kind, ours),
        repeats: 0,
    };
    Results {
        plan: Plan {
            seed: Seed(42),
            rounds: ROUNDS,
            quick: false,
            whole: true,
            deadline: Duration::from_secs(60),
            allocators,
            against,
            rows: ROWS.map(row).to_vec(),
        },
        rows: ROWS.map(|(_, kind)| figures(kind)).to_vec(),
        elapsed: Duration::from_secs(7),
        interrupted: false,
    }
}

fn entry(kind: Kind, nanoseconds: f64) -> Entry {
    // A little noise, the same for all.
    let sample = |round: u32| {
        let sample = Sample {
            served_by: PathBuf::from("/lib/some.so"),
            operations: 1000,
            nanoseconds: nanoseconds * (1.0 + 0.01 * f64::from(round % 3)),
            peak: 4000 + (100.0 * nanoseconds) as u64,
            floor: 4000,
            faults: nanoseconds as u64,
            switches: 0,
            locked: Some(1),
            gains: (kind == Kind::Scaling).then_some(Gains { memory: 1.9, registers: 1.9 }),
            line: matches!(kind, Kind::HandOff(_) | Kind::Churn)
                .then_some(Line { before: 21.0, after: 22.0 }),
            latency: None,
            memory: None,
        };
        (round, sample)
    };
    let calls = (10.0 * nanoseconds) as u64;
    let percentiles = Percentiles {
        calls: 10_000,
        p50: calls / 3,
        p99: Some(calls / 2),
        p99_9: Some(calls - calls % 10),
        p99_99: None,
        max: 2 * calls,
    };
    let some = Some(percentiles);
    let latencies = Latencies { clock: 20, malloc: some, free: some, calloc: None, realloc: None };
    let memory =
        Memory { live: 1 << 20, resident: (1 << 20) + calls * 1024, drained: calls * 1024 };
    let looked_at = kind != Kind::Scaling;
    Entry {
        samples: (0..ROUNDS).map(sample).collect::<BTreeMap<_, _>>(),
        latencies: vec![latencies; if looked_at { ROUNDS as usize } else { 0 }],
        memory: looked_at.then_some(memory),
        failure: None,
    }
}

/// Lets an allocator fail in a row.
pub(crate) fn fail(results: &mut Results, row: usize, allocator: usize) {
    results.rows[row].entries[allocator].failure = Some(Failure {
        short: "SIGSEGV".to_owned(),
        detail: "killed by SIGSEGV; it printed nothing".to_owned(),
    });
}

/// Lets the two processors be so many times as far from each other for an allocator.
pub(crate) fn move_away(entry: &mut Entry, times: f64) {
    for line in entry.samples.values_mut().filter_map(|sample| sample.line.as_mut()) {
        (line.before, line.after) = (times * line.before, times * line.after);
    }
}
