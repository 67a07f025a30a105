//! The report of a campaign: a table, Markdown, or JSON.
//!
//! JSON: one object with `format` "drystone-stress-report" and `version` 2; what is added later
//! leaves the version, what changes its meaning raises it.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fmt, io};

use comfy_table::{Attribute, Cell, Color};
use drystone_checker::counters::latency::CallTimes;
use drystone_checker::counters::{Count, Counters, Notes, Seen as CallsSeen};
use drystone_harness::output;
use drystone_harness::output::format::{Format, Printing};
use drystone_harness::output::table::{Shape, Table};
use drystone_harness::seed::Seed;
use drystone_harness::text::shorten::shortened;
use drystone_harness::text::units;
use serde::Serialize;

use crate::model::finding::Finding;
use crate::model::outcome::{Outcome, RESTS_JUDGED};
use crate::model::runs::Results;
use crate::model::spec::{Spec, Workload};
use crate::model::suppressions::{FOUND_ALREADY, Ignored, Suppression};

/// Writes the report to standard output. Where no run could be made there is no table.
///
/// # Errors
/// Standard output can't be written.
pub fn print(results: &Results, printing: Printing) -> io::Result<()> {
    let nothing = results.outcomes.is_empty() && !results.failures.is_empty();
    if nothing && printing.format != Format::Json {
        return Ok(());
    }
    output::print(printing, |shape, colored| table(results, shape, colored), || json(results))
}

const HEADER: [&str; 6] = ["workload", "calls", "a second", "verified", "besides", "findings"];

/// The longest workload with its parameters that is shown, columns.
const WIDEST: usize = 24;

fn table(results: &Results, shape: Shape, colored: bool) -> String {
    let mut text = String::new();
    let mut names: Vec<(&str, usize)> = Vec::new();
    for Spec { allocator, threads, .. } in results.outcomes.iter().map(|outcome| &outcome.spec) {
        if !names.contains(&(allocator, *threads)) {
            names.push((allocator, *threads));
        }
    }
    for (name, threads) in names {
        let mut table = Table::new(shape, colored, HEADER);
        let own =
            |outcome: &&Outcome| outcome.spec.allocator == name && outcome.spec.threads == threads;
        for outcome in results.outcomes.iter().filter(own) {
            // A line each, where lines can be broken.
            let places = where_found(&outcome.counters);
            let places = places.join(if shape == Shape::Markdown { "; " } else { "\n" });
            table.row(row(outcome, places, colored));
        }
        table.right(1..4);
        let threads = if threads == 1 { "1 thread" } else { &format!("{threads} threads") };
        text += &table.under(&format!("{name}, {threads}"));
        let outcomes: Vec<&Outcome> = results.outcomes.iter().filter(own).collect();
        for line in seen(&outcomes) {
            text += &format!("{line}\n");
        }
    }
    for finding in results.findings() {
        text += &shape.block(finding);
    }
    for seen in suppressed(results) {
        text += &shape.block(seen);
    }
    for ignored in ignored(results) {
        text += &shape.block(ignored);
    }
    text
}

/// What was seen of the calls of one allocator besides findings: the longest, and pairs that never
/// came up.
fn seen(outcomes: &[&Outcome]) -> Vec<String> {
    let mut seen = CallsSeen::default();
    outcomes.iter().for_each(|outcome| seen.add(&outcome.seen));
    let mut lines = Vec::new();
    if let Some(longest) = seen.times.iter().max_by_key(|times| times.longest()) {
        let milli = |nanoseconds: u64| format!("{:.1} ms", nanoseconds as f64 / 1e6);
        let mut line = format!("longest call: {}, {}", longest.call, milli(longest.longest()));
        if longest.longest > 0 {
            line += &format!(", {} of it on a processor", milli(longest.longest_ran));
        }
        lines.push(line);
    }
    if !seen.coverage.is_empty() {
        let (reached, all, missing) = seen.coverage.reached();
        lines.push(format!("pairs of call, size, alignment, thread: {reached} of {all}"));
        if let Some(first) = missing.first() {
            let more = if missing.len() > 1 { ", ..." } else { "" };
            lines.push(format!("never came up: {first}{more}"));
        }
    }
    let rested = |outcome: &&&Outcome| outcome.notes.contains_key(RESTS_JUDGED);
    if !outcomes.iter().any(|outcome| rested(&outcome)) {
        lines.push("memory that never comes back was not judged: workload drain does".to_owned());
    }
    lines
}

/// What `--suppress` has counted.
fn ignored(results: &Results) -> Vec<String> {
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    for outcome in &results.outcomes {
        for note in outcome.spec.ignored.iter().map(Ignored::note) {
            let times = outcome.notes.get(&note).copied().unwrap_or_default();
            *all.entry(format!("{}: {note}", outcome.spec.allocator)).or_default() += times;
        }
    }
    let line = |(note, times): (String, u64)| match times {
        0 => format!("{note}: never seen"),
        _ => format!("{note}, {} times", units::count(times)),
    };
    all.into_iter().map(line).collect()
}

/// A suppressed fault of an allocator, and how often it was seen.
#[derive(Serialize)]
struct Seen<'a> {
    allocator: &'a str,
    #[serde(flatten)]
    suppression: &'a Suppression,
    times: u64,
}

/// All that the runs were to suppress, each once, seen or not.
fn suppressed(results: &Results) -> Vec<Seen<'_>> {
    let mut all: Vec<Seen<'_>> = Vec::new();
    for outcome in &results.outcomes {
        let asked = |one: &&Suppression| one.why != FOUND_ALREADY;
        for suppression in outcome.spec.suppressions.iter().filter(asked) {
            let allocator = outcome.spec.allocator.as_str();
            let times = outcome.notes.get(&suppression.note()).copied().unwrap_or_default();
            let same =
                |one: &&mut Seen<'_>| one.allocator == allocator && one.suppression == suppression;
            match all.iter_mut().find(same) {
                Some(seen) => seen.times += times,
                None => all.push(Seen { allocator, suppression, times }),
            }
        }
    }
    all
}

impl fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allocator, suppression: Suppression { finding, call, why }, times } = self;
        write!(f, "{allocator}: {finding} in {call}, ")?;
        match times {
            0 => write!(f, "which the campaign suppresses, was not seen: is it mended? ({why})"),
            _ => write!(f, "{} times, which the campaign suppresses: {why}", units::count(*times)),
        }
    }
}

fn row(outcome: &Outcome, places: String, colored: bool) -> Vec<Cell> {
    let counters = &outcome.counters;
    let workload = match &outcome.spec.trace {
        Some(trace) => {
            let name = trace.file_name().unwrap_or(trace.as_os_str());
            format!("trace {}", name.to_string_lossy())
        }
        None if !outcome.spec.environment.is_empty() => {
            let set: Vec<&str> =
                outcome.spec.environment.iter().map(|one| one.value.as_str()).collect();
            format!("{}{} ({})", outcome.spec.workload, outcome.spec.settings, set.join(", "))
        }
        None => format!("{}{}", outcome.spec.workload, outcome.spec.settings),
    };
    let rate = counters[Count::Operations] as f64 / outcome.elapsed.as_secs_f64().max(1e-3);
    let kinds: Vec<String> = outcome.findings().map(|one| one.kind.to_string()).collect();
    let finding = match kinds.is_empty() {
        true => Cell::new("0"),
        false => {
            let cell = Cell::new(kinds.join("\n"));
            if colored { cell.fg(Color::Red).add_attribute(Attribute::Bold) } else { cell }
        }
    };
    vec![
        Cell::new(shortened(&workload, WIDEST)),
        Cell::new(units::rate(counters[Count::Operations] as f64)),
        Cell::new(units::rate(rate)),
        Cell::new(units::bytes(counters[Count::BytesVerified])),
        Cell::new(places),
        finding,
    ]
}

/// Where double frees were found, and what else was provoked: only what came up.
fn where_found(counters: &Counters) -> Vec<String> {
    let places = [
        (Count::HandOffs, "handed over"),
        (Count::DoubleFrees, "double frees"),
        (Count::AtCall, "at the call"),
        (Count::AtReuse, "at a reuse"),
        (Count::AtSweep, "at a sweep"),
        (Count::AtExit, "at an exit"),
        (Count::RacedWithReuse, "raced with reuse"),
        (Count::OwnReport, "own reports"),
        (Count::Crashed, "crashed"),
        (Count::Hung, "hung"),
        (Count::Silent, "silent"),
        (Count::TwoOwners, "two owners"),
        (Count::Forks, "forks"),
        (Count::Signals, "signals"),
        (Count::ThreadEnds, "thread ends"),
        (Count::Loads, "libraries loaded"),
        (Count::Misuses, "misuses"),
        (Count::MisusesAtCall, "reported at the call"),
        (Count::MisusesDeferred, "deferred reports"),
    ];
    let mut found: Vec<String> = places
        .iter()
        .filter(|(count, _)| counters[*count] > 0)
        .map(|(count, place)| format!("{} {place}", units::rate(counters[*count] as f64)))
        .collect();
    if found.is_empty() {
        found.push("–".to_owned());
    }
    found
}

#[derive(Serialize)]
struct Report<'a> {
    format: &'static str,
    version: u32,
    seed: Seed,
    threads: usize,
    seconds: f64,
    interrupted: bool,
    runs: Vec<Run<'a>>,
    findings: Vec<Replayable<'a>>,
    suppressed: Vec<Seen<'a>>,
    failures: &'a [String],
}

#[derive(Serialize)]
struct Run<'a> {
    allocator: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    library: Option<&'a Path>,
    workload: Workload,
    parameters: BTreeMap<&'static str, u64>,
    trace: Option<&'a Path>,
    threads: usize,
    seed: Seed,
    seconds: f64,
    counts: &'a Counters,
    notes: &'a Notes,
    calls: Vec<CallSeen<'a>>,
    pairs: usize,
    pairs_possible: usize,
    pairs_missing: Vec<String>,
    findings: usize,
}

/// The times of one kind of call, nanoseconds.
#[derive(Serialize)]
struct CallSeen<'a> {
    call: &'a str,
    count: u64,
    median: u64,
    p99: u64,
    p9999: u64,
    longest: u64,
    longest_on_a_processor: Option<u64>,
    stalls: u64,
}

impl<'a> CallSeen<'a> {
    fn of(times: &'a CallTimes) -> Self {
        Self {
            call: &times.call,
            count: times.count(),
            median: times.quantile(500_000),
            p99: times.quantile(990_000),
            p9999: times.quantile(999_900),
            longest: times.longest(),
            longest_on_a_processor: (times.longest > 0).then_some(times.longest_ran),
            stalls: times.stalls,
        }
    }
}

#[derive(Serialize)]
struct Replayable<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    replay: String,
}

fn json(results: &Results) -> String {
    let report = Report {
        format: "drystone-stress-report",
        version: 2,
        seed: results.plan.seed,
        threads: results.plan.threads,
        seconds: results.elapsed.as_secs_f64(),
        interrupted: results.interrupted,
        runs: results.outcomes.iter().map(Run::of).collect(),
        findings: results
            .findings()
            .map(|finding| Replayable { finding, replay: finding.replay() })
            .collect(),
        suppressed: suppressed(results),
        failures: &results.failures,
    };
    output::json(&report)
}

impl<'a> Run<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let (pairs, pairs_possible, pairs_missing) = outcome.seen.coverage.reached();
        Self {
            calls: outcome.seen.times.iter().map(CallSeen::of).collect(),
            pairs,
            pairs_possible,
            pairs_missing,
            allocator: &outcome.spec.allocator,
            library: outcome.spec.library.as_deref(),
            workload: outcome.spec.workload,
            parameters: outcome.spec.settings.all(outcome.spec.workload),
            trace: outcome.spec.trace.as_deref(),
            threads: outcome.spec.threads,
            seed: outcome.spec.seed,
            seconds: outcome.elapsed.as_secs_f64(),
            counts: &outcome.counters,
            notes: &outcome.notes,
            findings: outcome.findings().count(),
        }
    }
}
