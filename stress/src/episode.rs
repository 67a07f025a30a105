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

use std::path::{Path, PathBuf};
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
use crate::version::Version;
use crate::workers::duel::{FINDS_LATE, missing_class};

/// How long an episode lasts unless another time is asked for.
pub const DEFAULT: Duration = Duration::from_secs(5);

/// With less than this left of a run no further episode begins.
const SHORTEST: Duration = Duration::from_millis(50);

/// Notes that say how things stand, and are not added up: the last episode's stands.
const STATES: [&str; 4] = [
    "copies of the trace at once",
    "bytes given back by the last trim",
    "bytes mapped at the end",
    FINDS_LATE,
];

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
            let mut both = |tally: &Tally, elapsed: Duration| {
                let mut total = before.0.clone();
                total += tally;
                progress(&total, before.1 + elapsed);
            };
            let seed = spec.seed.episode(number);
            add(&mut sum, self.episode(spec, seed, left, &store, stop, &mut both)?);
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
        if let (Some(directory), Some(finding)) = (&self.findings, outcome.finding.take()) {
            let finding = self.keep(directory, finding, spec, store)?;
            outcome.finding = Some(finding);
        }
        Ok(outcome)
    }

    fn keep(
        &self,
        directory: &Path,
        finding: Finding,
        spec: Spec,
        store: &Store,
    ) -> Result<Finding> {
        let version = Version::of(&spec, &self.supervisor.program).map_err(anyhow::Error::msg)?;
        let log = store.read().context("reading the log")?;
        findings::keep(directory, Record::new(finding, spec, version), &log)
    }
}

/// Adds a later episode's outcome.
fn add(sum: &mut Outcome, episode: Outcome) {
    sum.tally += &episode.tally;
    for (note, times) in episode.notes {
        let state = STATES.contains(&note.as_str());
        let before = sum.notes.entry(note).or_default();
        *before = if state { times } else { *before + times };
    }
    sum.finding = episode.finding;
    sum.cut_short = episode.cut_short;
}
