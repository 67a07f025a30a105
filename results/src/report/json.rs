//! For programs. docs/compare.md says what each field means; a change of one raises the version.

use std::collections::BTreeMap;

use serde::Serialize;

use super::sentence::sentence;
use crate::decide::{Counted, FailOn, Judged, MemoryJudged, RowJudge, TailJudge, Verdict, median};
use crate::evidence::{Also, Correctness, End, Machine, Side};

/// What the `format` field says.
const FORMAT: &str = "drystone-comparison";

/// The version of this output. Version 1 was of comparisons of criterion records.
const VERSION: u32 = 2;

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    version: u32,
    sentence: String,
    exit_code: u8,
    started: &'a str,
    seed: u64,
    a: &'a Side,
    b: &'a Side,
    also: &'a [Also],
    identical: bool,
    floor_percent: f64,
    margin_percent: f64,
    error: f64,
    judged: usize,
    verdicts: BTreeMap<Verdict, usize>,
    geometric_mean_percent: Option<f64>,
    rows: Vec<Row<'a>>,
    tails: Vec<Tail<'a>>,
    memory: Vec<Memory<'a>>,
    instructions: Vec<Instructions<'a>>,
    correctness: &'a BTreeMap<char, Correctness>,
    null_failed: Vec<&'a str>,
    processes: usize,
    machine: &'a Machine,
    load: Option<f64>,
    steal: Option<f64>,
    end: &'a Option<End>,
    evidence: &'a str,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    verdict: Verdict,
    a_ns: Option<f64>,
    b_ns: Option<f64>,
    change_percent: Option<f64>,
    low_percent: Option<f64>,
    high_percent: Option<f64>,
    processes: u32,
    smallest_seen_percent: Option<f64>,
}

#[derive(Serialize)]
struct Tail<'a> {
    row: &'a str,
    over_us: u32,
    verdict: Verdict,
    per_million: [f64; 2],
    more_per_million: [Option<f64>; 2],
    slowest_ns: [u64; 2],
}

#[derive(Serialize)]
struct Memory<'a> {
    row: &'a str,
    figure: &'a str,
    verdict: Verdict,
    medians: [f64; 2],
    processes: [usize; 2],
}

#[derive(Serialize)]
struct Instructions<'a> {
    row: &'a str,
    verdict: Verdict,
    per_operation: [f64; 2],
}

/// The comparison as a JSON document. `evidence` is the path of its file.
pub fn json(judged: &Judged, fail_on: FailOn, evidence: &str) -> String {
    let header = &judged.header;
    let counts = judged.tables.count();
    let open = counts.get(&Verdict::Inconclusive).copied().unwrap_or_default();
    let of = |figure: fn(&crate::evidence::Process) -> f64| {
        median(&judged.processes.iter().map(figure).collect::<Vec<_>>())
    };
    let document = Document {
        format: FORMAT,
        version: VERSION,
        sentence: sentence(judged),
        exit_code: judged.exit_code(fail_on),
        started: &header.started,
        seed: header.seed,
        a: &header.a,
        b: &header.b,
        also: &header.also,
        identical: header.identical,
        floor_percent: header.settings.floor * 100.0,
        margin_percent: header.settings.margin * 100.0,
        error: header.settings.error,
        judged: judged.tables.rows.len() - open,
        verdicts: counts,
        geometric_mean_percent: judged.geometric_mean().map(|mean| (mean - 1.0) * 100.0),
        rows: judged.tables.rows.iter().map(row).collect(),
        tails: tails(judged),
        memory: memory(judged),
        instructions: instructions(judged),
        correctness: &judged.correctness,
        null_failed: judged.tables.null_failures(),
        processes: judged.processes.len(),
        machine: &header.machine,
        load: of(|process| process.load),
        steal: of(|process| process.steal),
        end: &judged.end,
        evidence,
    };
    let text = serde_json::to_string_pretty(&document);
    text.expect("strings and finite numbers are always JSON") + "\n"
}

/// A logarithm of a ratio in percent of change; none if it is not bounded.
fn percent(ln_ratio: f64) -> Option<f64> {
    ln_ratio.is_finite().then(|| ln_ratio.exp_m1() * 100.0)
}

fn row(row: &RowJudge) -> Row<'_> {
    let values = row.judge.values();
    Row {
        name: &row.name,
        verdict: row.judge.verdict(),
        a_ns: median(&row.ns[0]),
        b_ns: median(&row.ns[1]),
        change_percent: values.median().and_then(percent),
        low_percent: percent(values.low()),
        high_percent: percent(values.high()),
        processes: values.len(),
        smallest_seen_percent: values.smallest_seen(row.judge.limits().floor).and_then(percent),
    }
}

fn tails(judged: &Judged) -> Vec<Tail<'_>> {
    fn one(tail: &TailJudge) -> Tail<'_> {
        let bound = |value: f64| value.is_finite().then_some(value);
        let values = tail.judge.values();
        Tail {
            row: &tail.row,
            over_us: tail.over_us,
            verdict: tail.judge.verdict(),
            per_million: tail.counts.map(|(slow, calls)| slow as f64 / calls as f64 * 1e6),
            more_per_million: [bound(values.low()), bound(values.high())],
            slowest_ns: tail.slowest_ns,
        }
    }
    judged.tables.tails.iter().map(one).collect()
}

fn memory(judged: &Judged) -> Vec<Memory<'_>> {
    fn one(memory: &MemoryJudged) -> Memory<'_> {
        let MemoryJudged { row, figure, medians, processes, verdict } = memory;
        Memory { row, figure, verdict: *verdict, medians: *medians, processes: *processes }
    }
    judged.memory.iter().map(one).collect()
}

fn instructions(judged: &Judged) -> Vec<Instructions<'_>> {
    fn one(counted: &Counted) -> Instructions<'_> {
        let Counted { row, counts, verdict } = counted;
        Instructions { row, verdict: *verdict, per_operation: *counts }
    }
    judged.instructions.iter().map(one).collect()
}
