//! The rounds: in each, every row with every allocator, in random order. Allocators of one row run
//! one after the other, so that a machine that slows down in the course of an hour slows them all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use drystone_harness::process::launcher::Launcher;
use drystone_harness::process::preload::path_of;
use drystone_harness::stats::{apart, median, spread};
use drystone_harness::stop::Stop;
use drystone_workloads::patterns::Order;
use drystone_workloads::splitmix::splitmix;
use drystone_workloads::trace::{Script, Trace};

use crate::bench::cli::Plan;
use crate::bench::job::{Job, Look, Sample, Task};
use crate::bench::launch::{self, Failure, Outcome};
use crate::bench::probe::latency::{KINDS, Latencies, Percentiles};
use crate::bench::probe::line;
use crate::bench::probe::memory::Memory;
use crate::bench::suite::{Kind, Row};

/// What was measured.
#[derive(Clone, Debug)]
pub struct Results {
    /// What was asked for.
    pub plan: Plan,
    /// In the plan's order.
    pub rows: Vec<RowResults>,
    /// Wall-clock time.
    pub elapsed: Duration,
    /// Whether it was stopped from outside.
    pub interrupted: bool,
}

/// A row's measurements.
#[derive(Clone, Debug)]
pub struct RowResults {
    /// The peaks of the driver with the row's data and nothing run, under the system's allocator,
    /// in KiB.
    pub floors: Vec<f64>,
    /// One for each allocator.
    pub entries: Vec<Entry>,
    /// The first allocator once more.
    pub twin: Entry,
    /// How many measurements were made once more because the processors had moved.
    pub repeats: u32,
}

/// An allocator's measurements of a row.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// By round.
    pub samples: BTreeMap<u32, Sample>,
    /// How long its calls took, one for each round.
    pub latencies: Vec<Latencies>,
    /// What it kept resident, of the first round.
    pub memory: Option<Memory>,
    /// How it failed; it was not run again.
    pub failure: Option<Failure>,
}

impl Entry {
    /// The median of a figure. None if there is none, or the allocator failed.
    pub fn median(&self, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
        let values: Vec<f64> = self.samples.values().map(figure).collect();
        median(&values).filter(|_| self.failure.is_none())
    }

    /// Calls in a second, of all threads together.
    pub fn calls_per_second(&self) -> Option<f64> {
        self.median(|sample| sample.nanoseconds).map(|nanoseconds| 1e9 / nanoseconds)
    }

    /// How long calls of each kind took, in the order of [`KINDS`]: medians over the rounds, and
    /// the longest of all. None as [`Entry::median`].
    pub fn latency(&self) -> [Option<Percentiles>; KINDS.len()] {
        std::array::from_fn(|kind| {
            let rounds = self.latencies.iter().filter_map(|one| one.kinds()[kind]);
            Percentiles::over(&rounds.collect::<Vec<_>>()).filter(|_| self.failure.is_none())
        })
    }

    /// Its memory. None as [`Entry::median`].
    pub fn memory(&self) -> Option<Memory> {
        self.memory.filter(|_| self.failure.is_none())
    }

    /// The clock's own nanoseconds in each of the times of calls. None as [`Entry::median`].
    pub fn clock(&self) -> Option<u64> {
        let clocks = self.latencies.iter().map(|latencies| latencies.clock);
        clocks.max().filter(|_| self.failure.is_none())
    }

    /// A cache line's ways, before and after each sample that has them.
    pub fn ways(&self) -> impl Iterator<Item = f64> {
        self.samples.values().filter_map(|sample| sample.line).flat_map(line::Line::ways)
    }

    /// The median of those. None as [`Entry::median`].
    pub fn way(&self) -> Option<f64> {
        median(&self.ways().collect::<Vec<_>>()).filter(|_| self.failure.is_none())
    }
}

impl RowResults {
    /// The median floor in KiB.
    pub fn floor(&self) -> Option<f64> {
        median(&self.floors)
    }

    /// An allocator's median peak above the floor, in KiB.
    pub fn peak(&self, allocator: usize) -> Option<f64> {
        Some(self.entries[allocator].median(|sample| sample.peak as f64)? - self.floor()?)
    }

    /// An allocator's median time per operation.
    pub fn nanoseconds(&self, allocator: usize) -> Option<f64> {
        self.entries[allocator].median(|sample| sample.nanoseconds)
    }

    /// An allocator's median faults.
    pub fn faults(&self, allocator: usize) -> Option<f64> {
        self.entries[allocator].median(|sample| sample.faults as f64)
    }

    /// An allocator's median calls between two takings of its span lock; as many as there were if
    /// it took none.
    pub fn calls_between_locks(&self, allocator: usize) -> Option<f64> {
        let samples = &self.entries[allocator].samples;
        samples.values().all(|sample| sample.locked.is_some()).then_some(())?;
        let between = |sample: &Sample| {
            sample.operations as f64 / sample.locked.map_or(f64::NAN, |locked| locked.max(1) as f64)
        };
        self.entries[allocator].median(between)
    }

    /// A cache line's ways in all samples of the row.
    pub fn ways(&self) -> Vec<f64> {
        self.entries.iter().chain([&self.twin]).flat_map(Entry::ways).collect()
    }

    /// The least and the greatest of the allocators' ways, where they differ by more than
    /// [`line::WIDEST`].
    pub fn unequal_ways(&self) -> Option<(f64, f64)> {
        let ends = apart(self.entries.iter().filter_map(Entry::way));
        ends.filter(|(least, greatest)| greatest / least > line::WIDEST)
    }

    /// The spread of the quotients of the first allocator's two runs in each round.
    pub fn a_a_spread(&self) -> Option<f64> {
        let quotient = |(round, one): (&u32, &Sample)| {
            let other = self.twin.samples.get(round)?;
            Some(one.nanoseconds / other.nanoseconds)
        };
        let quotients: Vec<f64> =
            self.entries.first()?.samples.iter().filter_map(quotient).collect();
        spread(&quotients)
    }
}

impl Results {
    /// Who failed where, and how.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str, &Failure)> {
        self.rows.iter().zip(&self.plan.rows).flat_map(move |(results, row)| {
            let names = self.plan.allocators.iter().map(|allocator| allocator.name.as_str());
            let first =
                self.plan.allocators.first().map_or("", |allocator| allocator.name.as_str());
            let entries = names.zip(&results.entries).chain([(first, &results.twin)]);
            entries.filter_map(move |(name, entry)| {
                Some((row.name.as_str(), name, entry.failure.as_ref()?))
            })
        })
    }

    /// Whether anything was measured.
    pub fn worked(&self) -> bool {
        self.rows.iter().flat_map(|row| &row.entries).any(|entry| !entry.samples.is_empty())
    }
}

/// What is told while measurements are made: row, allocator.
pub type Progress<'a> = dyn FnMut(&str, &str) + 'a;

/// How many times [`Progress`] is told something.
pub fn steps(plan: &Plan) -> u64 {
    u64::from(plan.rounds) * plan.rows.len() as u64 * (plan.allocators.len() as u64 + 2)
}

/// Who runs, in a row of a round.
#[derive(Clone, Copy)]
enum Turn {
    Floor,
    Twin,
    Allocator(usize),
}

/// Makes all measurements, to the end or until `stop`.
///
/// # Errors
/// An allocator does not serve at all, or the tool failed: nothing that an allocator does later.
pub fn run(
    plan: Plan,
    launcher: &Launcher,
    stop: &Stop,
    progress: &mut Progress<'_>,
) -> Result<Results> {
    let began = Instant::now();
    for allocator in &plan.allocators {
        let job = Job { task: Task::Prove, library: allocator.library.clone() };
        if let Outcome::Rejected(why) = launch::run(launcher, &[], &job, stop)? {
            bail!("allocator {}: {why}", allocator.name);
        }
    }
    let scripts: Vec<Option<File>> = plan
        .rows
        .iter()
        .map(|row| row.trace.as_deref().map(script).transpose())
        .collect::<Result<_>>()?;
    let mut rows = empty(&plan);
    let mut seed = plan.seed.0;
    'rounds: for round in 0..plan.rounds {
        for row in Order::Random.indices(splitmix(&mut seed), plan.rows.len()) {
            let row = row as usize;
            let script = scripts[row].as_ref().map(path_of);
            for turn in turns(plan.allocators.len(), splitmix(&mut seed)) {
                progress(&plan.rows[row].name, name(&plan, turn));
                let made =
                    Measurement { plan: &plan, row: &plan.rows[row], script: &script, launcher };
                made.add_to(&mut rows[row], turn, round, stop)?;
                if stop.is_set() {
                    break 'rounds;
                }
            }
        }
    }
    Ok(Results { plan, rows, elapsed: began.elapsed(), interrupted: stop.is_set() })
}

fn empty(plan: &Plan) -> Vec<RowResults> {
    let entries = vec![Entry::default(); plan.allocators.len()];
    let row = RowResults { floors: Vec::new(), entries, twin: Entry::default(), repeats: 0 };
    vec![row; plan.rows.len()]
}

fn turns(allocators: usize, seed: u64) -> Vec<Turn> {
    let mut turns = vec![Turn::Floor, Turn::Twin];
    turns.extend((0..allocators).map(Turn::Allocator));
    Order::Random.indices(seed, turns.len()).into_iter().map(|turn| turns[turn as usize]).collect()
}

fn name(plan: &Plan, turn: Turn) -> &str {
    match turn {
        Turn::Floor => "(floor)",
        Turn::Twin => plan.allocators.first().map_or("", |allocator| &allocator.name),
        Turn::Allocator(allocator) => &plan.allocators[allocator].name,
    }
}

/// One measurement of a row.
struct Measurement<'a> {
    plan: &'a Plan,
    row: &'a Row,
    script: &'a Option<PathBuf>,
    launcher: &'a Launcher,
}

impl Measurement<'_> {
    fn add_to(self, results: &mut RowResults, turn: Turn, round: u32, stop: &Stop) -> Result<()> {
        let (row, script) = (self.row.name.clone(), self.script.clone());
        let usual = median(&results.ways());
        let (entry, allocator) = match turn {
            Turn::Floor => {
                let job = Job { task: Task::Floor { row, script }, library: None };
                match launch::run(self.launcher, &[], &job, stop)? {
                    Outcome::Done(sample) => results.floors.push(sample.peak as f64),
                    Outcome::Stopped => {}
                    other => bail!("row {}: the driver alone: {other:?}", self.row.name),
                }
                return Ok(());
            }
            Turn::Twin => (&mut results.twin, 0),
            Turn::Allocator(allocator) => (&mut results.entries[allocator], allocator),
        };
        if entry.failure.is_some() {
            return Ok(());
        }
        let library = self.plan.allocators[allocator].library.clone();
        let task =
            Task::Row { row, passes: self.row.passes, script: script.clone(), look: Look::Time };
        let job = Job { task, library };
        let mut outcome = launch::run(self.launcher, &[], &job, stop)?;
        if astray(&outcome, usual) > line::WIDEST {
            results.repeats += 1;
            outcome = better(outcome, launch::run(self.launcher, &[], &job, stop)?, usual);
        }
        if let Some(sample) = counted(entry, outcome, Look::Time) {
            entry.samples.insert(round, sample);
            if let Turn::Allocator(_) = turn {
                self.look_again(entry, &job, stop)?;
            }
        }
        Ok(())
    }

    /// Two shorter runs after that of `timed`: for how long each call takes; and once for what is
    /// live and resident.
    fn look_again(&self, entry: &mut Entry, timed: &Job, stop: &Stop) -> Result<()> {
        if self.row.kind == Kind::Scaling {
            return Ok(());
        }
        for look in [Look::Latency, Look::Memory] {
            if stop.is_set() || look == Look::Memory && entry.memory.is_some() {
                break;
            }
            let mut job = timed.clone();
            if let Task::Row { passes, look: looked, .. } = &mut job.task {
                (*passes, *looked) = (passes.div_ceil(SHORTER), look);
            }
            let outcome = launch::run(self.launcher, &[], &job, stop)?;
            if let Some(sample) = counted(entry, outcome, look) {
                entry.latencies.extend(sample.latency.map(|boxed| *boxed));
                entry.memory = entry.memory.or(sample.memory);
            }
        }
        Ok(())
    }
}

/// A sample that counts; else the entry says how the allocator failed.
fn counted(entry: &mut Entry, outcome: Outcome, look: Look) -> Option<Sample> {
    let failure = match outcome {
        Outcome::Done(sample) if worked(&sample, look) => return Some(sample),
        Outcome::Done(_) => {
            Failure { short: "no work".to_owned(), detail: "it did no work".to_owned() }
        }
        Outcome::Stopped => return None,
        Outcome::Failed(failure) => failure,
        Outcome::Rejected(detail) => Failure { short: "rejected".to_owned(), detail },
    };
    entry.failure = Some(failure);
    None
}

/// Whether there is what was looked for.
fn worked(sample: &Sample, look: Look) -> bool {
    let seen = match look {
        Look::Time => sample.nanoseconds > 0.0,
        Look::Latency => sample.latency.as_ref().is_some_and(|all| all.kinds() != [None; 4]),
        Look::Memory => sample.memory.is_some(),
    };
    seen && sample.operations > 0
}

/// By how much the runs that look at calls and blocks are shorter: their calls take longer.
const SHORTER: u64 = 20;

/// By what factor the processors had moved in a measurement, or before it; 1 where nobody looked.
fn astray(outcome: &Outcome, usual: Option<f64>) -> f64 {
    match outcome {
        Outcome::Done(Sample { line: Some(line), .. }) => line.astray(usual),
        _ => 1.0,
    }
}

/// Which of two measurements counts: the one in which the processors had moved less. A failure is
/// never passed over.
fn better(first: Outcome, second: Outcome, usual: Option<f64>) -> Outcome {
    match second {
        Outcome::Stopped => first,
        Outcome::Done(_) if astray(&second, usual) >= astray(&first, usual) => first,
        _ => second,
    }
}

/// A trace as the child replays it. The file has no name, so that nothing stays behind.
fn script(trace: &Path) -> Result<File> {
    let doing = "a file for the trace's script";
    let script = Script::of(&Trace::read(trace)?);
    let mut out = BufWriter::new(tempfile::tempfile().context(doing)?);
    script.write_to(&mut out).context(doing)?;
    out.flush().context(doing)?;
    out.into_inner().context(doing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::fixtures::{fail, move_away, results};
    use crate::bench::probe::line::Line;

    const CHURN: usize = 2;

    #[test]
    fn a_row_has_the_ways_of_all_its_samples() {
        let results = results(9.0, &[("mimalloc", 10.0)]);
        // Before and after, seven rounds of two allocators and the twin.
        assert_eq!(results.rows[CHURN].ways().len(), 2 * 7 * 3);
        assert!(results.rows[0].ways().is_empty());
        assert_eq!(results.rows[0].unequal_ways(), None);
    }

    #[test]
    fn an_allocator_whose_processors_were_farther_makes_a_row_unequal() {
        let mut results = results(9.0, &[("mimalloc", 10.0), ("scudo", 12.0)]);
        let row = &mut results.rows[CHURN];
        assert_eq!(row.unequal_ways(), None);
        let way = row.entries[1].way().unwrap();
        move_away(&mut row.entries[1], 1.4);
        assert_eq!(row.unequal_ways(), None);
        move_away(&mut row.entries[1], 2.0 / 1.4);
        let (least, greatest) = row.unequal_ways().unwrap();
        assert!(least == way && (greatest / way - 2.0).abs() < 1e-9, "{least} to {greatest}");
        // A few rounds of many do not move its median.
        let mut row = row.clone();
        row.entries[1] = row.entries[0].clone();
        row.entries[1].samples.get_mut(&3).unwrap().line = Some(Line { before: 99.0, after: 99.0 });
        assert_eq!(row.unequal_ways(), None);
    }

    #[test]
    fn an_allocator_that_failed_makes_no_row_unequal() {
        let mut results = results(9.0, &[("mimalloc", 10.0)]);
        move_away(&mut results.rows[CHURN].entries[1], 3.0);
        fail(&mut results, CHURN, 1);
        assert_eq!(results.rows[CHURN].unequal_ways(), None);
    }

    #[test]
    fn of_two_measurements_the_steadier_counts_and_a_failure_always() {
        let results = results(9.0, &[]);
        let done = |before, after| {
            let sample = results.rows[CHURN].entries[0].samples[&0].clone();
            Outcome::Done(Sample { line: Some(Line { before, after }), ..sample })
        };
        let failed = Outcome::Rejected("so".to_owned());
        let (moved, far, near) = (done(20.0, 64.0), done(64.0, 64.0), done(20.0, 21.0));
        let usual = Some(21.0);
        assert!(astray(&moved, usual) > line::WIDEST && astray(&far, usual) > line::WIDEST);
        assert!(astray(&near, usual) < line::WIDEST && astray(&far, None) < line::WIDEST);
        assert_eq!(better(moved.clone(), near.clone(), usual), near);
        assert_eq!(better(near.clone(), moved.clone(), usual), near);
        assert_eq!(better(moved.clone(), far.clone(), None), far);
        assert_eq!(better(moved.clone(), Outcome::Stopped, usual), moved);
        assert_eq!(better(moved, failed.clone(), usual), failed);
    }
}
