//! Episodes: a run is a row of child processes of some seconds each, from a seed of its own.
//!
//! Nothing is left over from one to the next, so whatever an episode finds hangs on its seed alone,
//! and a replay need not begin earlier. Its journal is thrown away unless it finds something.
//!
//! Some workloads, such as `sawtooth` and `drain`, are one episode, as long as the run: what grows
//! or breaks up slowly does so in a process that lives on. It writes no journal, which hours would
//! fill: its seed alone replays it.
//!
//! | an episode ends | then |
//! |---|---|
//! | by its time, or with a journal nearly full | the next begins, if the run has time left |
//! | with a finding | the finding is kept in a folder, or said to be lost; the next begins |
//! | with a finding that the run has had | the run ends |
//! | because the run was stopped | the run ends |

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use drystone_checker::counters::Counters;
use drystone_checker::counters::latency::{STALL, STALLS};
use drystone_checker::journal::{Builder, Journal, Store};
use drystone_checker::violation::Kind;
use drystone_harness::seed::Seed;
use drystone_harness::stop::Stop;
use drystone_harness::usage::Usage;

use crate::allocators::version::Version;
use crate::findings::store::{self, Record};
use crate::model::finding::Finding;
use crate::model::job::Job;
use crate::model::outcome::Outcome;
use crate::model::spec::{Length, Spec, Workload};
use crate::model::suppressions::Suppression;
use crate::runner::race_coverage::did_not_race;
use crate::runner::supervisor::{Progress, Supervisor};

/// So many findings of one run are enough.
const MOST: usize = 4;

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
    /// Whether all ends with the first finding.
    pub first_only: bool,
}

/// Has a finding say when it was, in a run of which an episode began after `before`; what keeps
/// later episodes from ending with the same, if they can go on after it.
fn since_the_run_began(finding: &mut Finding, before: Duration) -> Option<Suppression> {
    let after = before + Duration::from_millis(finding.after_millis.unwrap_or(0));
    finding.after_millis = u64::try_from(after.as_millis()).ok();
    Suppression::of_found(finding.kind, finding.doing.as_deref()?)
}

/// Whether what an episode found has been found by the run before.
fn is_among(sum: &Outcome, episode: &Outcome) -> bool {
    let same =
        |one: &Finding, other: &Finding| (one.kind, &one.doing) == (other.kind, &other.doing);
    episode.finding.as_ref().is_some_and(|new| sum.findings().any(|old| same(old, new)))
}

fn is_found(sum: &Outcome, kind: Kind) -> bool {
    sum.findings().any(|finding| finding.kind == kind)
}

/// Calls that took the processor far too long, again and again: of all processes of the run, and
/// with any number of threads, since no lock of another's keeps a thread on its processor so long.
fn stalls(spec: &Spec, sum: &Outcome) -> Option<Finding> {
    // A small block's free may give hundreds of MiB back there.
    if spec.workload == Workload::Large {
        return None;
    }
    let spins: u64 = sum.seen.times.iter().map(|times| times.spins).sum();
    let times = sum.seen.times.iter().max_by_key(|times| times.spins)?;
    let expected = format!("a call to take less than {} ms on a processor", STALL / 1_000_000);
    let seen = format!(
        "{spins} took longer, most of them of {}, the longest {} ms without the waiting for one",
        times.call,
        times.longest_stall / 1_000_000
    );
    (spins >= STALLS).then(|| spec.finding(sum.elapsed, Kind::Stall, &expected, seen))
}

/// Whether the run only counts what an episode found; then it is counted.
fn is_ignored(spec: &Spec, episode: &mut Outcome) -> bool {
    let Some(finding) = &episode.finding else { return false };
    let call = finding.doing.as_deref();
    let Some(ignored) = spec.ignored.iter().find(|one| one.is(finding.kind, call)) else {
        return false;
    };
    *episode.notes.entry(ignored.note()).or_default() += 1;
    true
}

impl Episodes {
    /// Makes one run, to its end or until `stop`: the sums of its episodes, and what they found. A
    /// finding ends its episode; the run ends with one that came before, since what breaks the heap
    /// at once leaves nothing else to be found.
    ///
    /// # Errors
    /// As [`Supervisor::run`]. A finding that can't be kept is none: the outcome says so.
    pub fn run(&self, spec: &Spec, stop: &Stop, progress: &mut Progress<'_>) -> Result<Outcome> {
        let began = Instant::now();
        let journal_file = Store::new(spec.threads).context("a file for the journal")?;
        let mut present = spec.clone();
        let mut sum: Option<Outcome> = None;
        for number in 0.. {
            let left = spec.length.time().map(|time| time.saturating_sub(began.elapsed()));
            let over = left.is_none_or(|left| left < SHORTEST) || stop.is_set();
            if number > 0 && over {
                break;
            }
            let before = began.elapsed();
            let counters = sum.as_ref().map(|sum| sum.counters.clone()).unwrap_or_default();
            let mut both = |own: &Counters, usage: Usage, elapsed: Duration| {
                let mut total = counters.clone();
                total += own;
                progress(&total, usage, before + elapsed);
            };
            let seed = spec.seed.episode(number);
            let mut outcome = self.episode(&present, seed, left, &journal_file, stop, &mut both)?;
            let again = sum.as_ref().is_some_and(|sum| is_among(sum, &outcome));
            let episode = std::mem::replace(&mut outcome.spec, spec.clone());
            if again || is_ignored(spec, &mut outcome) {
                outcome.finding = None;
            }
            if let Some(finding) = &mut outcome.finding {
                present.suppressions.extend(since_the_run_began(finding, before));
            }
            self.keep(&mut outcome, &episode, || {
                journal_file.read().context("reading the journal")
            });
            let found = outcome.finding.is_some();
            let total = match sum.take() {
                None => outcome,
                Some(mut total) => {
                    total.add(outcome);
                    total
                }
            };
            let ended = again
                || found && (self.first_only || total.more.len() + 1 >= MOST)
                || total.cut_short;
            sum = Some(total);
            if ended {
                break;
            }
        }
        let mut sum = sum.context("a run has one episode at least")?;
        sum.elapsed = began.elapsed();
        self.judge_the_whole(spec, &mut sum);
        Ok(sum)
    }

    /// What shows over a whole run: one episode is too short to judge.
    fn judge_the_whole(&self, spec: &Spec, sum: &mut Outcome) {
        if let Some(finding) = stalls(spec, sum)
            && !is_found(sum, finding.kind)
        {
            self.keep_of_run(sum, finding);
        }
        if sum.finding.is_none()
            && let Some(finding) = did_not_race(spec, sum.elapsed, &sum.counters, &sum.notes)
        {
            self.keep_of_run(sum, finding);
        }
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
        self.supervisor.job(&job, stop, progress)
    }

    /// Keeps the outcome's finding, if it has one and findings are kept. One that can't be kept
    /// stays in the outcome, which then says why.
    fn keep(&self, outcome: &mut Outcome, spec: &Spec, journal: impl FnOnce() -> Result<Journal>) {
        let (Some(directory), Some(finding)) = (&self.findings, &mut outcome.finding) else {
            return;
        };
        let keep = |finding: &Finding| {
            let version = Version::of(spec, &self.supervisor.program)?;
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
        let before = outcome.finding.replace(finding);
        let spec = outcome.spec.clone();
        self.keep(outcome, &spec, || Ok(Builder::new(spec.threads).finish()));
        // In the order in which they were found.
        if let Some(before) = before {
            outcome.more.extend(outcome.finding.replace(before));
        }
    }
}
