//! The runs: several programs at once, each without and with its allocators by turns.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use drystone_harness::allocators::Allocator;
use drystone_harness::process::launcher::Launcher;
use drystone_harness::process::resources::Resources;
use drystone_harness::stats::median;
use drystone_harness::stop::Stop;
use drystone_harness::text::units;

use crate::programs::account::{Account, Counter};
use crate::programs::catalogue::Program;
use crate::programs::cli::Plan;
use crate::programs::command;

use crate::programs::judge::{Finding, Kind, differ, flaky};
use crate::programs::stage::{Run, Stage};

/// Runs without any allocator that may show that a test which was flaky with one is so by itself.
const AGAIN: usize = 3;

/// What came of all programs.
#[derive(Clone, Debug)]
pub struct Results {
    /// What was asked for.
    pub plan: Plan,
    /// In the plan's order.
    pub rows: Vec<Row>,
    /// The least peak that can be seen, in KiB: see [`Resources::peak`].
    pub floor: u64,
    /// Wall-clock time.
    pub elapsed: Duration,
    /// Whether it was stopped from outside.
    pub interrupted: bool,
}

/// What came of one program.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Why it did not run: a sentence.
    pub missing: Option<String>,
    /// Why nothing can be told, though it ran: it fails, or says something else each time, without
    /// any allocator.
    pub failure: Option<String>,
    /// One for each allocator that had its turn.
    pub entries: Vec<Entry>,
}

/// What came of one program with one allocator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The counted run's account.
    pub account: Account,
    /// Of the program's own processes, calls served.
    pub calls: u64,
    /// Each round's usage, without the allocator and with it.
    pub rounds: Vec<(Resources, Resources)>,
    /// Tests that failed at first and not when they were run again. A finding unless they do so
    /// without the allocator too.
    pub flaky: BTreeSet<String>,
    /// What is wrong with the allocator.
    pub finding: Option<Finding>,
}

impl Entry {
    /// The median of a figure without the allocator, and that of the rounds' quotients, with over
    /// without.
    pub fn beside(&self, figure: impl Fn(&Resources) -> f64) -> Option<(f64, f64)> {
        let without: Vec<f64> = self.rounds.iter().map(|(without, _)| figure(without)).collect();
        let quotients: Vec<f64> =
            self.rounds.iter().map(|(without, with)| figure(with) / figure(without)).collect();
        Some((median(&without)?, median(&quotients)?))
    }
}

impl Results {
    /// Everything that was found: program, allocator, finding.
    pub fn findings(&self) -> impl Iterator<Item = (&str, &str, &Finding)> {
        self.rows.iter().zip(&self.plan.programs).flat_map(move |(row, program)| {
            let allocators = self.plan.allocators.iter();
            row.entries.iter().zip(allocators).filter_map(move |(entry, allocator)| {
                Some((program.name, allocator.name.as_str(), entry.finding.as_ref()?))
            })
        })
    }
}

/// Told while programs run: who begins, and when one is done.
pub trait Progress: Sync {
    /// A program begins.
    fn begins(&self, program: &str);
    /// A program is done.
    fn done(&self);
}

/// Runs them all in `folder`.
///
/// # Errors
/// Something can't be written, started or waited for.
pub fn run(
    plan: Plan,
    launcher: &Launcher,
    folder: &Path,
    stop: &Stop,
    progress: &dyn Progress,
) -> Result<Results> {
    let began = Instant::now();
    let floor = floor(folder, launcher, stop)?;
    let counters = plan.allocators.iter().map(|allocator| Counter::of(allocator, folder));
    let counters = counters.collect::<Result<Vec<_>>>()?;
    let rows: Vec<Mutex<Result<Row>>> =
        plan.programs.iter().map(|_| Mutex::new(Ok(Row::default()))).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..plan.jobs.min(plan.programs.len()) {
            scope.spawn(|| {
                // Relaxed: each number is given out once; nothing else hangs on it.
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(program) = plan.programs.get(place) else { return };
                    progress.begins(program.name);
                    let row = one(program, &plan, launcher, &counters, folder, stop)
                        .with_context(|| program.name.to_owned());
                    progress.done();
                    *rows[place].lock().expect("each place is one worker's") = row;
                }
            });
        }
    });
    let rows = rows.into_iter().map(|row| row.into_inner().expect("no worker panics"));
    Ok(Results {
        rows: rows.collect::<Result<_>>()?,
        plan,
        floor,
        elapsed: began.elapsed(),
        interrupted: stop.is_set(),
    })
}

/// The peak of a program that needs nothing.
fn floor(folder: &Path, launcher: &Launcher, stop: &Stop) -> Result<u64> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let environment = [("PATH".to_owned(), path)];
    let ended = command::run(launcher, &["true".to_owned()], folder, &environment, stop)?;
    Ok(ended.resources.peak)
}

fn one(
    program: &Program,
    plan: &Plan,
    launcher: &Launcher,
    counters: &[Counter],
    folder: &Path,
    stop: &Stop,
) -> Result<Row> {
    if stop.is_set() {
        return Ok(Row::default());
    }
    let stage = match Stage::set(program, folder, launcher, stop)? {
        Ok(stage) => stage,
        Err(missing) => {
            return Ok(Row { missing: Some(missing.to_string()), ..Row::default() });
        }
    };
    let mut turn = Turn {
        program,
        plan,
        launcher,
        stage,
        folder,
        stop,
        reference: None,
        flaky: BTreeSet::new(),
        row: Row::default(),
    };
    if turn.without()?.is_none() {
        return Ok(turn.row);
    }
    for (allocator, counter) in plan.allocators.iter().zip(counters) {
        let entry = turn.counted(allocator, counter)?;
        turn.row.entries.push(entry);
    }
    turn.rounds()?;
    turn.flaky_alone()?;
    Ok(turn.row)
}

/// A program's turn.
struct Turn<'a> {
    program: &'a Program,
    plan: &'a Plan,
    launcher: &'a Launcher,
    stage: Stage,
    folder: &'a Path,
    stop: &'a Stop,
    /// The first run without any allocator.
    reference: Option<Run>,
    /// Tests that have failed at first, and then not, without any allocator.
    flaky: BTreeSet<String>,
    row: Row,
}

impl Turn<'_> {
    /// A run without any allocator: what it used, unless it says that nothing can be told.
    fn without(&mut self) -> Result<Option<Resources>> {
        let run = self.stage.run(self.program, &[], self.launcher, self.stop)?;
        if run.stopped() {
            return Ok(None);
        }
        if let Some((command, ended)) = run.failed() {
            let said = String::from_utf8_lossy(&ended.errors);
            let last = said.trim().lines().last().unwrap_or_default();
            self.row.failure =
                Some(format!("{command}: {} without any allocator: {last}", ended.end));
            return Ok(None);
        }
        let usage = run.resources();
        self.flaky.append(&mut flaky(&run, self.program));
        match &self.reference {
            None => self.reference = Some(run),
            Some(reference) => {
                if let Some(finding) = differ(reference, &run, self.program) {
                    let detail = finding.detail;
                    self.row.failure = Some(format!("two runs without any allocator: {detail}"));
                    return Ok(None);
                }
            }
        }
        Ok(Some(usage))
    }

    /// What a run with an allocator does otherwise than the reference.
    fn judged(&self, run: &Run) -> Option<Finding> {
        differ(self.reference.as_ref()?, run, self.program)
    }

    /// The run whose calls are counted.
    fn counted(&self, allocator: &Allocator, counter: &Counter) -> Result<Entry> {
        let file = self.folder.join(format!("{}-{}.calls", self.program.name, allocator.name));
        let environment = counter.environment(allocator, &file);
        let run = self.stage.run(self.program, &environment, self.launcher, self.stop)?;
        if run.stopped() {
            return Ok(Entry::default());
        }
        let account = Account::read(&file, allocator)?;
        let calls = account.calls_of(self.program.served);
        let finding = self.judged(&run).or_else(|| {
            if let Some(wrong) = account.wrong.first() {
                return Some(Finding { kind: Kind::Reports, detail: wrong.clone() });
            }
            (calls < self.plan.calls).then(|| Finding {
                kind: Kind::NotServed,
                detail: format!(
                    "{} calls of {} reached the allocator, {} must: {:?}",
                    units::count(calls),
                    self.program.served.join(" or "),
                    units::count(self.plan.calls),
                    account.calls
                ),
            })
        });
        let flaky = flaky(&run, self.program);
        Ok(Entry { account, calls, rounds: Vec::new(), flaky, finding })
    }

    /// Whether what was flaky with an allocator is so without any, which has a few more runs to
    /// show it; what is not is a finding.
    fn flaky_alone(&mut self) -> Result<()> {
        if self.stop.is_set() || self.row.failure.is_some() {
            return Ok(());
        }
        for _ in 0..AGAIN {
            let told =
                |entry: &Entry| entry.finding.is_some() || entry.flaky.is_subset(&self.flaky);
            if self.row.entries.iter().all(told) || self.without()?.is_none() {
                break;
            }
        }
        if self.stop.is_set() || self.row.failure.is_some() {
            return Ok(());
        }
        for entry in &mut self.row.entries {
            let only: Vec<&str> = entry.flaky.difference(&self.flaky).map(String::as_str).collect();
            if entry.finding.is_none() && !only.is_empty() {
                let tests = only.join(", ");
                let detail =
                    format!("fails at first, then not, and never without the allocator: {tests}");
                entry.finding = Some(Finding { kind: Kind::Flaky, detail });
            }
        }
        Ok(())
    }

    /// The rounds, as they are for a user: no call is counted.
    fn rounds(&mut self) -> Result<()> {
        let mut first = self.reference.as_ref().map(Run::resources);
        for round in 0..self.plan.rounds_of(self.program) {
            for place in 0..self.row.entries.len() {
                if self.row.entries[place].finding.is_some() {
                    continue;
                }
                // By turns, so that a machine that slows down slows both.
                let mut with = None;
                if round % 2 == 1 {
                    with = self.with(place)?;
                }
                let without = match first.take() {
                    Some(usage) => Some(usage),
                    None => self.without()?,
                };
                if self.row.failure.is_some() {
                    return Ok(());
                }
                if round % 2 == 0 {
                    with = self.with(place)?;
                }
                if self.stop.is_set() {
                    return Ok(());
                }
                if let Some(pair) = without.zip(with) {
                    self.row.entries[place].rounds.push(pair);
                }
            }
        }
        Ok(())
    }

    /// A run with an allocator: what it used, unless it is a finding.
    fn with(&mut self, place: usize) -> Result<Option<Resources>> {
        let allocator = &self.plan.allocators[place];
        let preload = allocator.library.iter().map(|library| library.clone().into_os_string());
        let environment: Vec<_> =
            preload.map(|library| ("LD_PRELOAD".to_owned(), library)).collect();
        let run = self.stage.run(self.program, &environment, self.launcher, self.stop)?;
        if run.stopped() {
            return Ok(None);
        }
        let finding = self.judged(&run);
        let entry = &mut self.row.entries[place];
        entry.finding = finding;
        entry.flaky.append(&mut flaky(&run, self.program));
        Ok(entry.finding.is_none().then(|| run.resources()))
    }
}
