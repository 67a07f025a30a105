//! JSON, for programs. README.md says what each field means; a change of one raises the version.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figures::percent;
use crate::records::judge::{self, Comparison, LEVEL, Verdict};

/// What the `format` field says.
const FORMAT: &str = "drystone-comparison";

/// The version of this output.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    version: u32,
    a: Side<'a>,
    b: Side<'a>,
    threshold_percent: f64,
    level: f64,
    benchmarks: Vec<Row<'a>>,
    verdicts: BTreeMap<Verdict, usize>,
    expected_misses: f64,
    notes: &'a [String],
    exit_code: u8,
}

#[derive(Serialize)]
struct Side<'a> {
    name: &'a str,
    commit: &'a str,
    dirty: bool,
    date: &'a str,
    machine: &'a str,
    rustc: &'a str,
    processes: usize,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    a_ns: Option<f64>,
    b_ns: Option<f64>,
    processes: [usize; 2],
    change_percent: Option<f64>,
    interval: Option<Interval>,
    detectable_percent: Option<f64>,
    verdict: Verdict,
}

#[derive(Serialize)]
struct Interval {
    low_percent: f64,
    high_percent: f64,
    coverage: f64,
}

/// The comparison as a JSON document; `exit_code` is what the program will exit with.
pub fn json(comparison: &Comparison, exit_code: u8) -> String {
    let counts = Verdict::ALL.map(|verdict| (verdict, comparison.count(verdict)));
    let document = Document {
        format: FORMAT,
        version: VERSION,
        a: side(&comparison.a),
        b: side(&comparison.b),
        threshold_percent: comparison.threshold.percent,
        level: LEVEL,
        benchmarks: comparison.rows.iter().map(row).collect(),
        verdicts: counts.into_iter().collect(),
        expected_misses: comparison.expected_misses(),
        notes: &comparison.notes,
        exit_code,
    };
    let text = serde_json::to_string_pretty(&document);
    text.expect("strings and finite numbers are always JSON") + "\n"
}

fn side(side: &judge::Side) -> Side<'_> {
    let record = &side.record;
    Side {
        name: &side.name,
        commit: &record.commit,
        dirty: record.dirty,
        date: &record.date,
        machine: &record.machine.name,
        rustc: &record.rustc,
        processes: record.processes.len(),
    }
}

fn row(row: &judge::Row) -> Row<'_> {
    let interval = row.change.and_then(|change| change.interval);
    Row {
        id: &row.id,
        a_ns: row.a,
        b_ns: row.b,
        processes: row.processes,
        change_percent: row.change.map(|change| percent(change.estimate)),
        interval: interval.map(|interval| Interval {
            low_percent: percent(interval.low),
            high_percent: percent(interval.high),
            coverage: interval.coverage,
        }),
        detectable_percent: row.change.and_then(|change| change.detectable).map(percent),
        verdict: row.verdict,
    }
}
