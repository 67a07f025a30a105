//! The rounds: in each every allocator with every set of checks, in random order.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use drystone_checker::checks::{Check, Checks};
use drystone_checker::journal::Store;
use drystone_harness::process::launcher::{End, Launcher};
use drystone_harness::stop::Stop;
use drystone_measure::bench::launch::Failure;
use drystone_workloads::patterns::Order;
use drystone_workloads::splitmix::splitmix;

use crate::cmd::cost::cli::{BLOCKS, Plan};
use crate::cmd::cost::job::{Answer, Job, TOOL, Task, Time, answer};
use crate::cmd::cost::setups;
use crate::model::message::{self, Message};
use crate::model::spec::Spec;

/// What was measured.
#[derive(Clone, Debug)]
pub struct Results {
    /// The plan.
    pub plan: Plan,
    /// One for each allocator.
    pub allocators: Vec<Measured>,
    /// Wall-clock time.
    pub elapsed: Duration,
    /// Whether it was stopped before the end.
    pub interrupted: bool,
}

/// What was measured of an allocator.
#[derive(Clone, Debug)]
pub struct Measured {
    /// By setup, by round.
    pub times: Vec<BTreeMap<u32, Time>>,
    /// Bytes of the checker's at each of [`BLOCKS`].
    pub memory: Option<[u64; 2]>,
    /// How it failed; it was not run again.
    pub failure: Option<Failure>,
}

/// How many measurements a plan has.
pub fn steps(plan: &Plan) -> u64 {
    plan.allocators.len() as u64 * (1 + u64::from(plan.rounds) * setups::all().len() as u64)
}

/// Makes all measurements, to the end or until `stop`; `progress` is told before each.
///
/// # Errors
/// An allocator does not serve, or the tool failed.
pub fn run(
    plan: Plan,
    launcher: &Launcher,
    stop: &Stop,
    progress: &mut dyn FnMut(&str),
) -> Result<Results> {
    let began = Instant::now();
    let setups = setups::all();
    let nothing =
        Measured { times: vec![BTreeMap::new(); setups.len()], memory: None, failure: None };
    let mut allocators = vec![nothing; plan.allocators.len()];
    let store = Store::new(plan.threads).context("a file for the journal")?;
    let step = Step { plan: &plan, launcher, stop, store: &store };
    for (spec, measured) in plan.allocators.iter().zip(&mut allocators) {
        progress(&spec.allocator);
        step.make(
            spec,
            Task::Memory { blocks: BLOCKS },
            measured,
            |measured, answer| match answer {
                Answer::Memory { bytes } => measured.memory = Some(bytes),
                _ => measured.failure = Some(no_answer()),
            },
        )?;
    }
    let mut seed = plan.seed.0;
    'rounds: for round in 0..plan.rounds {
        for place in Order::Random.indices(splitmix(&mut seed), setups.len() * allocators.len()) {
            if stop.is_set() {
                break 'rounds;
            }
            let (allocator, setup) = (place as usize / setups.len(), place as usize % setups.len());
            let spec = &plan.allocators[allocator];
            progress(&spec.allocator);
            let task = step.time(setups[setup])?;
            step.make(spec, task, &mut allocators[allocator], |measured, answer| match answer {
                Answer::Time(time) if time.per_second > 0.0 => {
                    measured.times[setup].insert(round, time);
                }
                _ => measured.failure = Some(no_answer()),
            })?;
        }
    }
    let elapsed = began.elapsed();
    Ok(Results { allocators, elapsed, interrupted: stop.is_set(), plan })
}

fn no_answer() -> Failure {
    Failure { short: "no figure".to_owned(), detail: "it did not answer what was asked".to_owned() }
}

/// What all measurements share.
struct Step<'a> {
    plan: &'a Plan,
    launcher: &'a Launcher,
    stop: &'a Stop,
    store: &'a Store,
}

impl Step<'_> {
    fn time(&self, checks: Checks) -> Result<Task> {
        let mut journal = None;
        if checks.has(Check::Journal) {
            self.store.clear().context("the file for the journal")?;
            journal = Some(self.store.path());
        }
        let Plan { operations, parts, .. } = *self.plan;
        Ok(Task::Time { checks, operations, parts, journal })
    }

    /// Makes one, unless the allocator has failed.
    fn make(
        &self,
        spec: &Spec,
        task: Task,
        measured: &mut Measured,
        keep: impl FnOnce(&mut Measured, Answer),
    ) -> Result<()> {
        if measured.failure.is_some() {
            return Ok(());
        }
        let job = Job { spec: spec.clone(), task };
        let command = self.launcher.child(&[], TOOL, &job, spec.library.as_deref())?;
        let ended = self.launcher.run(command, self.stop)?;
        if ended.end == End::Stopped {
            return Ok(());
        }
        match answer(&ended.output) {
            Some(Answer::Rejected { why }) => bail!("allocator {}: {why}", spec.allocator),
            Some(answer) if ended.end.is_success() => keep(measured, answer),
            _ => {
                measured.failure =
                    Some(found(&ended.output).unwrap_or_else(|| Failure::of(&ended)));
            }
        }
        Ok(())
    }
}

/// The finding that a child has told, as a failure.
fn found(output: &[u8]) -> Option<Failure> {
    let output = String::from_utf8_lossy(output);
    output.lines().find_map(|line| match message::parse(line)? {
        Message::Finding { finding, .. } => Some(Failure {
            short: finding.kind.to_string(),
            detail: format!(
                "a finding, {}: expected {}; seen: {}",
                finding.kind, finding.expected, finding.seen
            ),
        }),
        _ => None,
    })
}
