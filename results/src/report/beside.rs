//! What stands beside the times: a line for each fact.

use super::figures::{change, count, kib, percent};
use crate::decide::{Judged, MemoryJudged, TailJudge, Verdict, median};
use crate::evidence::Also;

/// Instructions are told from this change on.
const INSTRUCTIONS_TOLD: f64 = 0.001;

/// All lines, in the order of what they weigh.
pub fn lines(judged: &Judged) -> Vec<String> {
    let mut lines = Vec::new();
    if !judged.tables.rows.is_empty() {
        lines.push(time(judged));
    }
    lines.extend(also(judged));
    lines.extend(notes(judged));
    lines.extend(tails(judged));
    lines.extend(memory(judged));
    lines.extend(instructions(judged));
    lines.extend(correctness(judged));
    lines.push(machine(judged));
    lines.extend(judged.notes.clone());
    lines
}

fn time(judged: &Judged) -> String {
    let counts = judged.tables.count();
    let open = counts.get(&Verdict::Inconclusive).copied().unwrap_or_default();
    let rows = judged.tables.rows.len();
    let mean =
        judged.geometric_mean().map(|mean| format!("; geometric mean {}", change(mean.ln())));
    format!("time: judged {} of {rows} rows{}", rows - open, mean.unwrap_or_default())
}

/// What is left out: the sides themselves, or a library besides.
pub fn also(judged: &Judged) -> Vec<String> {
    let header = &judged.header;
    let left_out = |also: &Also| {
        let why = also.left_out.as_ref()?;
        Some(format!("{}: its rows are left out: {why}", also.name))
    };
    let mut lines: Vec<String> = header.also.iter().filter_map(left_out).collect();
    if header.identical && header.also.iter().any(|also| also.left_out.is_none()) {
        let (a, b) = (&header.a.name, &header.b.name);
        lines.push(format!("{a} and {b} are identical: the rows are of other libraries"));
    }
    lines
}

fn notes(judged: &Judged) -> Vec<String> {
    let mut notes = Vec::new();
    let header = &judged.header;
    let measured = header.also.iter().filter(|also| also.left_out.is_none());
    let mut fresh = measured.map(|also| also.fresh_layouts);
    if !(header.a.fresh_layouts && header.b.fresh_layouts && fresh.all(|fresh| fresh)) {
        notes.push(
            "layout: a side has one layout only, so its luck is in the change; give static \
             archives, or commits, to average it away"
                .to_owned(),
        );
    }
    if judged.end.is_none() {
        notes.push("the file has no end: the comparison was cut off".to_owned());
    }
    notes
}

fn tails(judged: &Judged) -> Vec<String> {
    let line = |tail: &TailJudge| {
        let [a, b] = tail.counts.map(|(slow, calls)| slow as f64 / calls as f64 * 1e6);
        let verdict = tail.judge.verdict().name();
        format!(
            "tail: {} over {} µs: {a:.1} → {b:.1} a million calls, {verdict}",
            tail.row, tail.over_us
        )
    };
    judged.tables.tails.iter().map(line).collect()
}

fn memory(judged: &Judged) -> Vec<String> {
    let line = |memory: &MemoryJudged| {
        let shown = |value| match memory.figure {
            "faults" => format!("{value:.0}"),
            _ => kib(value),
        };
        let [a, b] = memory.medians;
        let (row, figure, verdict) = (&memory.row, memory.figure, memory.verdict.name());
        format!("memory: {row} {figure} {} → {}, {verdict}", shown(a), shown(b))
    };
    let told = |memory: &&MemoryJudged| memory.verdict != Verdict::Ok;
    let mut lines: Vec<String> = judged.memory.iter().filter(told).map(line).collect();
    let peaks = judged.memory.iter().filter(|memory| memory.figure == "peak");
    let ratios: Vec<f64> = peaks
        .map(|memory| (memory.medians[1] / memory.medians[0]).ln())
        .filter(|ratio| ratio.is_finite())
        .collect();
    if !ratios.is_empty() {
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        let fine = judged.memory.iter().filter(|memory| memory.verdict == Verdict::Ok).count();
        lines.push(format!(
            "memory: {fine} of {} figures OK; peaks {}",
            judged.memory.len(),
            change(mean)
        ));
    }
    lines
}

fn instructions(judged: &Judged) -> Vec<String> {
    let moved = |counts: [f64; 2]| (counts[1] / counts[0] - 1.0).abs() >= INSTRUCTIONS_TOLD;
    let told = judged.instructions.iter().filter(|counted| moved(counted.counts));
    let mut lines: Vec<String> = told
        .map(|counted| {
            let [a, b] = counted.counts;
            format!(
                "instructions: {} {a:.2} → {b:.2} an operation ({})",
                counted.row,
                change((b / a).ln())
            )
        })
        .collect();
    if lines.is_empty() && !judged.instructions.is_empty() {
        lines
            .push(format!("instructions: the same in {}", count(judged.instructions.len(), "row")));
    }
    lines
}

fn correctness(judged: &Judged) -> Vec<String> {
    let mut lines: Vec<String> =
        judged.new_findings().iter().map(|finding| format!("wrong: {finding}")).collect();
    for (side, said) in &judged.correctness {
        let side = side.to_ascii_uppercase();
        lines.push(match &said.skipped {
            Some(why) => format!("correctness: {side} not tested: {why}"),
            None => format!(
                "correctness: {} in {:.0} s of stress on {side}",
                count(said.findings.len(), "finding"),
                said.seconds
            ),
        });
    }
    lines
}

fn machine(judged: &Judged) -> String {
    let processes = &judged.processes;
    let nulls = processes.iter().filter(|process| process.null).count();
    let of = |figure: fn(&crate::evidence::Process) -> f64| {
        median(&processes.iter().map(figure).collect::<Vec<_>>()).unwrap_or_default()
    };
    let rows = || processes.iter().flat_map(|process| &process.rows);
    let pairs: u32 = rows().map(|row| row.pairs).sum();
    let dropped: u32 = rows().map(|row| row.dropped).sum();
    let fraction = f64::from(dropped) / f64::from((pairs + dropped).max(1));
    let failed = judged.end.as_ref().map_or(0, |end| end.failed);
    let number = processes.len();
    format!(
        "machine: {number} processes in {:.0} s, {nulls} of them A beside itself, {failed} failed; \
         load {:.1}, steal {}, pairs dropped {}",
        judged.end.as_ref().map_or(0.0, |end| end.at_s),
        of(|process| process.load),
        percent(of(|process| process.steal)),
        percent(fraction),
    )
}
