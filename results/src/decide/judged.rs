//! All that a file of evidence says.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::tables::Tables;
use super::verdict::Verdict;
use crate::evidence::{Correctness, End, Ended, Evidence, Header, Line, Memory, Process};
use crate::exit::{CANNOT_TELL, FINE, REGRESSION, TOOL_FAILURE};

/// A comparison, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What was compared, and how.
    pub header: Header,
    /// Times and slow calls.
    pub tables: Tables,
    /// Memory, by workload and figure.
    pub memory: Vec<MemoryJudged>,
    /// Instructions per operation by row, A and B.
    pub instructions: Vec<Counted>,
    /// What the stress tool said of B, and of A if it was asked.
    pub correctness: BTreeMap<char, Correctness>,
    /// The processes of the time lane.
    pub processes: Vec<Process>,
    /// How it ended; none if it was cut off.
    pub end: Option<End>,
    /// What else is to be said beside it.
    pub notes: Vec<String>,
}

/// A figure of memory.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryJudged {
    /// The workload.
    pub row: String,
    /// `peak`, `drained` or `faults`.
    pub figure: &'static str,
    /// The medians of A and of B: KiB, or faults.
    pub medians: [f64; 2],
    /// Processes of A and of B.
    pub processes: [usize; 2],
    /// REGRESSED if all of B's lie above all of A's and the medians differ by more than the floor;
    /// IMPROVED the other way round; else OK. INCONCLUSIVE with fewer than
    /// [`MEMORY_PROCESSES`] a side.
    pub verdict: Verdict,
}

/// Instructions of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// The row.
    pub row: String,
    /// Per operation, A and B.
    pub counts: [f64; 2],
    /// REGRESSED if it is beyond the gate, if there is one; else OK.
    pub verdict: Verdict,
}

/// Processes a side, below which memory is not judged. With eight, all of B's lie above all of A's
/// by chance in 1 of 12,870 comparisons without a change, and the floor comes on top. With five it
/// is 1 of 252, of each of 15 figures: an equal heap was called fatter by 128 KiB.
pub const MEMORY_PROCESSES: usize = 8;

/// KiB that a figure of memory may grow in any case: a page table's or a reservation's worth.
const MEMORY_SLACK_KIB: f64 = 64.0;

impl Judged {
    /// Judges evidence.
    pub fn of(evidence: Evidence) -> Self {
        let Evidence { header, lines } = evidence;
        let mut tables = Tables::new(&header.settings);
        let (mut processes, mut correctness, mut end) = (Vec::new(), BTreeMap::new(), None);
        let (mut memory, mut counted) =
            (Vec::new(), BTreeMap::<char, BTreeMap<String, f64>>::new());
        for line in lines {
            match line {
                Line::Process(process) => {
                    tables.push(&process);
                    processes.push(process);
                }
                Line::Correctness(said) => {
                    match correctness.entry(said.side) {
                        Entry::Occupied(mut before) => together(before.get_mut(), said),
                        Entry::Vacant(none) => drop(none.insert(said)),
                    };
                }
                Line::Instructions(found) => {
                    counted.entry(found.side).or_default().extend(found.rows)
                }
                Line::Memory(process) => memory.push(process),
                Line::End(how) => end = Some(how),
            }
        }
        let memory = judge_memory(&memory, header.settings.memory_floor);
        let instructions = judge_instructions(&counted, header.settings.instructions_gate);
        Self {
            header,
            tables,
            memory,
            instructions,
            correctness,
            processes,
            end,
            notes: Vec::new(),
        }
    }

    /// Why it ended.
    pub fn why(&self) -> Option<Ended> {
        self.end.as_ref().map(|end| end.why)
    }

    /// Findings in B of a kind and workload that A has none of: others say nothing of the change.
    pub fn new_findings(&self) -> Vec<&String> {
        let of = |side| self.correctness.get(&side).map_or(&[][..], |said| &said.findings[..]);
        new_findings(of('a'), of('b'))
    }

    /// Rows of any lane that regressed, each with its lane.
    pub fn regressions(&self) -> Vec<String> {
        let is_worse = |verdict| verdict == Verdict::Regressed;
        let times = self.tables.rows.iter().filter(|row| is_worse(row.judge.verdict()));
        let tails = self.tables.tails.iter().filter(|tail| is_worse(tail.judge.verdict()));
        let memory = self.memory.iter().filter(|memory| is_worse(memory.verdict));
        let counted = self.instructions.iter().filter(|counted| is_worse(counted.verdict));
        let mut all: Vec<String> = times.map(|row| row.name.clone()).collect();
        all.extend(tails.map(|tail| format!("{} (calls over {} µs)", tail.row, tail.over_us)));
        all.extend(memory.map(|memory| format!("{} ({} memory)", memory.row, memory.figure)));
        all.extend(counted.map(|counted| format!("{} (instructions)", counted.row)));
        all
    }

    /// The geometric mean of the changes of the sides' own rows, as a ratio; none if one has no
    /// process.
    pub fn geometric_mean(&self) -> Option<f64> {
        let own = self.tables.rows.iter().filter(|row| self.header.is_own(&row.name));
        let medians: Option<Vec<f64>> = own.map(|row| row.judge.values().median()).collect();
        let medians = medians.filter(|medians| !medians.is_empty())?;
        Some((medians.iter().sum::<f64>() / medians.len() as f64).exp())
    }

    /// What the program exits with: 1 for a regression or a new finding; 3 if the null failed, a
    /// row is undecided, or it was cut short; 2 if it failed; else 0. With `fail_on` `never`, no
    /// regression counts.
    pub fn exit_code(&self, fail_on: FailOn) -> u8 {
        let null_failed = !self.tables.null_failures().is_empty();
        let worse = !self.regressions().is_empty() && !null_failed;
        if fail_on != FailOn::Never && (worse || !self.new_findings().is_empty()) {
            return REGRESSION;
        }
        match self.why() {
            Some(Ended::Identical) => FINE,
            Some(Ended::Failed) => TOOL_FAILURE,
            _ if null_failed && fail_on != FailOn::Regressed => CANNOT_TELL,
            Some(Ended::Decided) => FINE,
            _ if self.tables.undecided().is_empty() || fail_on != FailOn::Any => FINE,
            _ => CANNOT_TELL,
        }
    }
}

/// What makes a comparison fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// A regression (1), and not being able to tell (3).
    Any,
    /// A regression only.
    Regressed,
    /// Nothing but a failure of the tool.
    Never,
}

/// Those of B that begin as none of A does, up to the colon: with a kind and a workload.
pub fn new_findings<'a>(a: &[String], b: &'a [String]) -> Vec<&'a String> {
    let kind = |finding: &str| finding.split(':').next().unwrap_or_default().to_owned();
    let known: BTreeSet<String> = a.iter().map(|finding| kind(finding)).collect();
    b.iter().filter(|finding| !known.contains(&kind(finding))).collect()
}

/// Adds what another shard's stress tool said of the same side.
fn together(before: &mut Correctness, said: Correctness) {
    before.seconds += said.seconds;
    before.code = before.code.max(said.code);
    before.findings.extend(said.findings);
    before.skipped = before.skipped.take().and(said.skipped);
}

fn judge_memory(processes: &[Memory], floor: f64) -> Vec<MemoryJudged> {
    let mut figures = BTreeMap::<(String, &'static str), [Vec<f64>; 2]>::new();
    for process in processes {
        let side = usize::from(process.side == 'b');
        for (row, memory) in &process.rows {
            let all = [
                ("peak", memory.peak_kib),
                ("drained", memory.drained_kib),
                ("faults", memory.faults),
            ];
            for (figure, value) in all {
                figures.entry((row.clone(), figure)).or_default()[side].push(value as f64);
            }
        }
    }
    let judge = |((row, figure), sides): ((String, &'static str), [Vec<f64>; 2])| {
        let medians = [median(&sides[0])?, median(&sides[1])?];
        let processes = [sides[0].len(), sides[1].len()];
        let verdict = memory_verdict(&sides, medians, floor, figure);
        Some(MemoryJudged { row, figure, medians, processes, verdict })
    };
    figures.into_iter().filter_map(judge).collect()
}

fn memory_verdict(sides: &[Vec<f64>; 2], medians: [f64; 2], floor: f64, figure: &str) -> Verdict {
    if sides.iter().any(|side| side.len() < MEMORY_PROCESSES) {
        return Verdict::Inconclusive;
    }
    // Faults are told, and judged by the time they take.
    let slack = if figure == "faults" { f64::INFINITY } else { MEMORY_SLACK_KIB };
    let lowest = |side: &[f64]| side.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = |side: &[f64]| side.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let above = |more: usize, less: usize| {
        let beyond = (medians[less] * (1.0 + floor)).max(medians[less] + slack);
        lowest(&sides[more]) > highest(&sides[less]) && medians[more] > beyond
    };
    match (above(1, 0), above(0, 1)) {
        (true, _) => Verdict::Regressed,
        (_, true) => Verdict::Improved,
        _ => Verdict::Ok,
    }
}

fn judge_instructions(
    counted: &BTreeMap<char, BTreeMap<String, f64>>,
    gate: Option<f64>,
) -> Vec<Counted> {
    let (Some(a), Some(b)) = (counted.get(&'a'), counted.get(&'b')) else { return Vec::new() };
    let both = a.iter().filter_map(|(row, &a)| Some((row, [a, *b.get(row)?])));
    both.map(|(row, counts)| {
        let worse = gate.is_some_and(|gate| counts[1] > counts[0] * (1.0 + gate));
        let verdict = if worse { Verdict::Regressed } else { Verdict::Ok };
        Counted { row: row.clone(), counts, verdict }
    })
    .collect()
}

/// The middle one, or the mean of both; none without one.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (n > 0).then(|| (values[(n - 1) / 2] + values[n / 2]) / 2.0)
}
