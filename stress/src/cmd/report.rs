//! The report of a campaign: a table, Markdown, or JSON.
//!
//! JSON: one object with `format` "drystone-stress-report" and `version` 1; what is added later
//! leaves the version, what changes its meaning raises it.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fmt, io};

use comfy_table::{Attribute, Cell, Color};
use drystone_checker::counters::{Count, Counters, Notes};
use drystone_harness::output;
use drystone_harness::output::format::{Format, Printing};
use drystone_harness::output::table::{Shape, Table};
use drystone_harness::seed::Seed;
use drystone_harness::text::units;
use serde::Serialize;

use crate::model::finding::Finding;
use crate::model::outcome::Outcome;
use crate::model::runs::Results;
use crate::model::spec::Workload;
use crate::model::suppressions::Suppression;

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

const HEADER: [&str; 9] = [
    "allocator",
    "workload",
    "operations",
    "per second",
    "verified",
    "hand-offs",
    "double frees",
    "found",
    "findings",
];

fn table(results: &Results, shape: Shape, colored: bool) -> String {
    let mut table = Table::new(shape, colored, HEADER);
    for outcome in &results.outcomes {
        // A place a line, where lines can be broken.
        let places = where_found(&outcome.counters);
        let places = places.join(if shape == Shape::Markdown { "; " } else { "\n" });
        table.row(row(outcome, places, colored));
    }
    table.right((2..7).chain([8]));
    let mut text = format!("{table}\n");
    for finding in results.findings() {
        text += &shape.block(finding);
    }
    for known in known(results) {
        text += &shape.block(known);
    }
    text
}

/// A suppressed fault of an allocator, and how often it was seen.
#[derive(Serialize)]
struct Seen<'a> {
    subject: &'a str,
    #[serde(flatten)]
    known: &'a Suppression,
    times: u64,
}

/// All that the runs were told, each once, seen or not.
fn known(results: &Results) -> Vec<Seen<'_>> {
    let mut all: Vec<Seen<'_>> = Vec::new();
    for outcome in &results.outcomes {
        for known in &outcome.spec.suppressions {
            let subject = outcome.spec.allocator.as_str();
            let times = outcome.notes.get(&known.note()).copied().unwrap_or_default();
            let same = |one: &&mut Seen<'_>| one.subject == subject && one.known == known;
            match all.iter_mut().find(same) {
                Some(seen) => seen.times += times,
                None => all.push(Seen { subject, known, times }),
            }
        }
    }
    all
}

impl fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, known: Suppression { finding, call, why }, times } = self;
        write!(f, "{subject}: {finding} in {call}, ")?;
        match times {
            0 => write!(f, "which the campaign suppresses, was not seen: is it mended? ({why})"),
            _ => write!(f, "{} times, which the campaign suppresses: {why}", units::count(*times)),
        }
    }
}

fn row(outcome: &Outcome, places: String, colored: bool) -> Vec<Cell> {
    let tally = &outcome.counters;
    let workload = match &outcome.spec.trace {
        Some(trace) => {
            let name = trace.file_name().unwrap_or(trace.as_os_str());
            format!("trace {}", name.to_string_lossy())
        }
        None => format!("{}{}", outcome.spec.workload, outcome.spec.settings),
    };
    let rate = tally[Count::Operations] as f64 / outcome.elapsed.as_secs_f64().max(1e-3);
    let finding = match &outcome.finding {
        None => Cell::new("0"),
        Some(finding) => {
            let cell = Cell::new(finding.kind.to_string());
            if colored { cell.fg(Color::Red).add_attribute(Attribute::Bold) } else { cell }
        }
    };
    vec![
        Cell::new(&outcome.spec.allocator),
        Cell::new(workload),
        Cell::new(units::count(tally[Count::Operations])),
        Cell::new(units::rate(rate)),
        Cell::new(units::bytes(tally[Count::BytesVerified])),
        Cell::new(units::count(tally[Count::HandOffs])),
        Cell::new(units::count(tally[Count::DoubleFrees])),
        Cell::new(places),
        finding,
    ]
}

/// Where double frees were found, and what else was provoked: only what came up.
fn where_found(tally: &Counters) -> Vec<String> {
    let places = [
        (Count::AtCall, "at the call"),
        (Count::AtReuse, "at a reuse"),
        (Count::AtSweep, "at a sweep"),
        (Count::AtExit, "at an exit"),
        (Count::RacedWithReuse, "raced with reuse"),
        (Count::OwnReport, "died by own report"),
        (Count::Crashed, "crashed"),
        (Count::Hung, "hung"),
        (Count::Silent, "silent"),
        (Count::TwoOwners, "silent, then two owners"),
        (Count::Forks, "forks"),
        (Count::Signals, "signals"),
        (Count::ThreadEnds, "thread ends"),
        (Count::Loads, "libraries loaded"),
        (Count::Misuses, "misuses"),
        (Count::MisusesAtCall, "reported at the call"),
        (Count::MisusesDeferred, "reported late"),
    ];
    let mut found: Vec<String> = places
        .iter()
        .filter(|(count, _)| tally[*count] > 0)
        .map(|(count, place)| format!("{} {place}", units::count(tally[*count])))
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
    known: Vec<Seen<'a>>,
    failures: &'a [String],
}

#[derive(Serialize)]
struct Run<'a> {
    subject: &'a str,
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
    findings: usize,
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
        version: 1,
        seed: results.plan.seed,
        threads: results.plan.threads,
        seconds: results.elapsed.as_secs_f64(),
        interrupted: results.interrupted,
        runs: results.outcomes.iter().map(Run::of).collect(),
        findings: results
            .findings()
            .map(|finding| Replayable { finding, replay: finding.replay() })
            .collect(),
        known: known(results),
        failures: &results.failures,
    };
    output::json(&report)
}

impl<'a> Run<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        Self {
            subject: &outcome.spec.allocator,
            library: outcome.spec.library.as_deref(),
            workload: outcome.spec.workload,
            parameters: outcome.spec.settings.all(outcome.spec.workload),
            trace: outcome.spec.trace.as_deref(),
            threads: outcome.spec.threads,
            seed: outcome.spec.seed,
            seconds: outcome.elapsed.as_secs_f64(),
            counts: &outcome.counters,
            notes: &outcome.notes,
            findings: usize::from(outcome.finding.is_some()),
        }
    }
}
