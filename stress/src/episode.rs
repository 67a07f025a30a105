//! Episodes: a run is a row of child processes of some seconds each, from a seed of its own.
//!
//! Nothing is left over from one to the next, so whatever an episode finds hangs on its seed alone, and a
//! replay need not begin earlier. Its log is thrown away unless it finds something.
//!
//! | an episode ends | then |
//! |---|---|
//! | after its time, or when its log is nearly full | the next begins, if the run has time left |
//! | with a finding | the finding is kept in a folder, the run ends |
//! | because the run was stopped | the run ends |

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::finding::{Finding, Kind};
use crate::findings::{self, Record};
use crate::job::Job;
use crate::log::Store;
use crate::seed::Seed;
use crate::spec::{Length, Spec};
use crate::stop::Stop;
use crate::supervisor::{Outcome, Progress, Supervisor};
use crate::tally::{Count, Tally};
use crate::usage::Usage;
use crate::version::Version;
use crate::workers::duel::missing_class;

/// How long an episode lasts unless another time is asked for.
pub const DEFAULT: Duration = Duration::from_secs(5);

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
}

impl Episodes {
    /// Makes one run, to its end or until `stop`: the sums of its episodes, and the first finding.
    ///
    /// # Errors
    /// As [`Supervisor::run`]; and a finding can't be written.
    pub fn run(&self, spec: &Spec, stop: &Stop, progress: &mut Progress<'_>) -> Result<Outcome> {
        let began = Instant::now();
        let store = Store::new(spec.threads).context("a file for the log")?;
        let mut sum = self.episode(spec, spec.seed, spec.length.time(), &store, stop, progress)?;
        sum.spec = spec.clone();
        for number in 1.. {
            let left = spec.length.time().map(|time| time.saturating_sub(began.elapsed()));
            let over = left.is_none_or(|left| left < SHORTEST) || stop.is_set();
            if over || sum.finding.is_some() || sum.cut_short {
                break;
            }
            let before = (sum.tally.clone(), began.elapsed());
            let mut both = |tally: &Tally, usage: Usage, elapsed: Duration| {
                let mut total = before.0.clone();
                total += tally;
                progress(&total, usage, before.1 + elapsed);
            };
            let seed = spec.seed.episode(number);
            sum.add(self.episode(spec, seed, left, &store, stop, &mut both)?);
        }
        sum.elapsed = began.elapsed();
        // Over the whole run: one episode is too short to tell.
        if sum.finding.is_none()
            && let Some(class) = missing_class(&sum.tally, &sum.notes, spec.threads)
        {
            let expected = format!("{class}, now and then");
            let seen = format!("never in {} duels", sum.tally[Count::Duels]);
            sum.finding =
                Some(Finding::of_run(spec, sum.elapsed, Kind::DidNotRace, &expected, seen));
        }
        Ok(sum)
    }

    fn episode(
        &self,
        run: &Spec,
        seed: Seed,
        left: Option<Duration>,
        store: &Store,
        stop: &Stop,
        progress: &mut Progress<'_>,
    ) -> Result<Outcome> {
        // What grows or breaks up slowly does so in a process that lives on.
        let longest = if run.workload.long_lived() { Duration::MAX } else { self.length };
        let length = left.map_or(Length::Once, |left| Length::of(left.min(longest)));
        let spec = Spec { seed, length, ..run.clone() };
        store.clear().context("the file for the log")?;
        let kept = self.findings.is_some();
        // A process that lives for hours would fill any log: its seed alone replays it.
        let log = (!run.workload.long_lived()).then(|| store.path());
        let job = Job { log, backtrace: kept, ..Job::plain(&spec) };
        let mut outcome = self.supervisor.job(&job, stop, progress)?;
        if let Some(finding) = outcome.finding.take() {
            outcome.finding = Some(self.keep(finding, spec, store)?);
        }
        Ok(outcome)
    }

    /// Keeps a finding, if findings are kept.
    fn keep(&self, finding: Finding, spec: Spec, store: &Store) -> Result<Finding> {
        let Some(directory) = &self.findings else { return Ok(finding) };
        let version = Version::of(&spec, &self.supervisor.program).map_err(anyhow::Error::msg)?;
        let log = store.read().context("reading the log")?;
        findings::keep(directory, Record::new(finding, spec, version), &log)
    }

    /// Keeps what was found in the run as a whole, of which no episode has a log.
    ///
    /// # Errors
    /// It can't be written.
    pub fn keep_of_run(&self, finding: Finding, spec: &Spec) -> Result<Finding> {
        self.keep(finding, spec.clone(), &Store::new(spec.threads).context("a file for the log")?)
    }
}
