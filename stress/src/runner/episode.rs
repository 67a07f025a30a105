//! Episodes: a run is a row of child processes of some seconds each, from a seed of its own.
//!
//! Nothing is left over from one to the next, so whatever an episode finds hangs on its seed alone,
//! and a replay need not begin earlier. Its journal is thrown away unless it finds something.
//!
//! `sawtooth` and `shifting-sizes` are one episode, as long as the run: what grows or breaks up
//! slowly does so in a process that lives on. It writes no journal, which hours would fill: its
//! seed alone replays it.
//!
//! | an episode ends | then |
//! |---|---|
//! | by its time, or with a journal nearly full | the next begins, if the run has time left |
//! | with a finding | the finding is kept in a folder, or said to be lost; the run ends |
//! | because the run was stopped | the run ends |

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use drystone_checker::counters::Counters;
use drystone_checker::journal::{Builder, Journal, Store};
use drystone_harness::seed::Seed;
use drystone_harness::stop::Stop;
use drystone_harness::usage::Usage;

use crate::allocators::version::Version;
use crate::findings::store::{self, Record};
use crate::model::finding::Finding;
use crate::model::job::Job;
use crate::model::outcome::Outcome;
use crate::model::spec::{Length, Spec};
use crate::runner::race_coverage::did_not_race;
use crate::runner::supervisor::{Progress, Supervisor};

/// With less than this left of a run no further episode begins.
const SHORTEST: Duration = Duration::from_millis(50);

/// How runs are made.
#[derive(Clone, Debug)]
pub struct Episodes {
    /// Who starts the children.
    pub supervisor: Supervisor,
    /// How long an episode lasts.
    pub length: Duration,
    /// Where findings are kept, if they are.
    pub findings: Option<PathBuf>,
    /// How long a process must be watched before the growth of its memory can be judged.
    pub growth_after: Duration,
}

impl Episodes {
    /// Makes one run, to its end or until `stop`: the sums of its episodes, and the first finding.
    ///
    /// # Errors
    /// As [`Supervisor::run`]. A finding that can't be kept is none: the outcome says so.
    pub fn run(&self, spec: &Spec, stop: &Stop, progress: &mut Progress<'_>) -> Result<Outcome> {
        let began = Instant::now();
        let journal_file = Store::new(spec.threads).context("a file for the journal")?;
        let mut sum =
            self.episode(spec, spec.seed, spec.length.time(), &journal_file, stop, progress)?;
        sum.spec = spec.clone();
        for number in 1.. {
            let left = spec.length.time().map(|time| time.saturating_sub(began.elapsed()));
            let over = left.is_none_or(|left| left < SHORTEST) || stop.is_set();
            if over || sum.finding.is_some() || sum.cut_short {
                break;
            }
            let before = (sum.counters.clone(), began.elapsed());
            let mut both = |counters: &Counters, usage: Usage, elapsed: Duration| {
                let mut total = before.0.clone();
                total += counters;
                progress(&total, usage, before.1 + elapsed);
            };
            let seed = spec.seed.episode(number);
            sum.add(self.episode(spec, seed, left, &journal_file, stop, &mut both)?);
        }
        sum.elapsed = began.elapsed();
        // Over the whole run: one episode is too short to judge.
        if sum.finding.is_none()
            && let Some(finding) = did_not_race(spec, sum.elapsed, &sum.counters, &sum.notes)
        {
            self.keep_of_run(&mut sum, finding);
        }
        Ok(sum)
    }

    fn episode(
        &self,
        run: &Spec,
        seed: Seed,
        left: Option<Duration>,
        journal_file: &Store,
        stop: &Stop,
        progress: &mut Progress<'_>,
    ) -> Result<Outcome> {
        let longest = if run.workload.long_lived() { Duration::MAX } else { self.length };
        let length = left.map_or(Length::Once, |left| Length::of(left.min(longest)));
        let spec = Spec { seed, length, ..run.clone() };
        journal_file.clear().context("the file for the journal")?;
        let kept = self.findings.is_some();
        let journal = (!run.workload.long_lived()).then(|| journal_file.path());
        let job = Job { journal, backtrace: kept, ..Job::plain(&spec) };
        let mut outcome = self.supervisor.job(&job, stop, progress)?;
        self.keep(&mut outcome, &spec, || journal_file.read().context("reading the journal"));
        Ok(outcome)
    }

    /// Keeps the outcome's finding, if it has one and findings are kept. One that can't be kept
    /// stays in the outcome, which then says why.
    fn keep(&self, outcome: &mut Outcome, spec: &Spec, journal: impl FnOnce() -> Result<Journal>) {
        let (Some(directory), Some(finding)) = (&self.findings, &mut outcome.finding) else {
            return;
        };
        let keep = |finding: &Finding| {
            let version =
                Version::of(spec, &self.supervisor.program).map_err(anyhow::Error::msg)?;
            store::keep(directory, Record::new(finding.clone(), spec.clone(), version), &journal()?)
        };
        match keep(finding) {
            Ok(kept) => *finding = kept,
            Err(why) => outcome.not_kept = Some(format!("the finding could not be kept: {why:#}")),
        }
    }

    /// Adds to a run's outcome what was found in the run as a whole, of which no episode has a
    /// journal.
    pub fn keep_of_run(&self, outcome: &mut Outcome, finding: Finding) {
        outcome.finding = Some(finding);
        let spec = outcome.spec.clone();
        self.keep(outcome, &spec, || Ok(Builder::new(spec.threads).finish()));
    }
}
