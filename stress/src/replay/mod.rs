//! Replays of a finding: the same calls in the same order, or the same seed.
//!
//! | way | the same | with one thread | with more |
//! |---|---|---|---|
//! | [`Way::Recorded`] | all calls in their order, one at a time | exact | one order; no two meet |
//! | [`Way::Free`] | the seed, so every thread's choices | exact | any order |
//!
//! What shows over a run as a whole, memory that grows or a race that never was, is looked for in
//! the same way as in the run, at the end of each attempt.
//!
//! What the OS draws, such as addresses, is drawn anew either way.

pub mod shrink;

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use drystone_checker::counters::Counters;
use drystone_checker::journal::Journal;
use drystone_checker::violation::Kind;
use drystone_harness::stop::Stop;
use drystone_harness::usage::Usage;
use serde::Serialize;

use crate::findings::store::Record;
use crate::model::finding::Finding;
use crate::model::job::Job;
use crate::model::outcome::Outcome;
use crate::model::spec::{Length, Spec};
use crate::runner::growth::Watcher;
use crate::runner::inject;
use crate::runner::race_coverage::did_not_race;
use crate::runner::supervisor::Supervisor;

/// How a finding is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The recorded calls in their order, one at a time.
    Recorded,
    /// The episode from its seed, the threads running freely.
    Free,
}

/// What came of the attempts of one way.
#[derive(Clone, Debug, Serialize)]
pub struct Attempts {
    /// The way.
    pub way: Way,
    /// How many were made.
    pub tries: u32,
    /// How often the finding came again: one of its kind.
    pub again: u32,
    /// How often something else was found.
    pub other: u32,
    /// The last finding of the kind, or else the last of any.
    pub last: Option<Finding>,
}

/// The longest that a script may take: it has as many calls as an episode of some seconds, and
/// hands the token from thread to thread.
const LONGEST_SCRIPT: Duration = Duration::from_secs(300);

/// Makes attempts of one way, until `tries` are made or `stop` is set.
///
/// # Errors
/// A child can't be started, or the harness in it fails.
pub fn attempt(
    supervisor: &Supervisor,
    record: &Record,
    journal: Option<&Journal>,
    tries: u32,
    stop: &Stop,
    progress_of: &mut dyn FnMut(&Attempts),
) -> Result<Attempts> {
    let script = journal.map(Script::new).transpose().context("a file for the journal")?;
    let way = if script.is_some() { Way::Recorded } else { Way::Free };
    let mut attempts = Attempts { way, tries: 0, again: 0, other: 0, last: None };
    let job = match &script {
        Some(script) => script.job(&record.spec),
        None => free(record),
    };
    while attempts.tries < tries && !stop.is_set() {
        let mut watcher = Watcher::new(job.spec.length.time().unwrap_or_default());
        let mut progress = |counters: &Counters, usage: Usage, elapsed: Duration| {
            watcher.look(counters, usage, elapsed);
        };
        let mut outcome = match (record.injection, way) {
            (Some(injection), Way::Free) => {
                inject::run(&job.spec, injection, |job| supervisor.job(job, stop, &mut progress))?
            }
            _ => supervisor.job(&job, stop, &mut progress)?,
        };
        if outcome.finding.is_none() {
            outcome.finding = in_the_whole(record.finding.kind, &outcome, &watcher);
        }
        if outcome.cut_short && outcome.finding.is_none() {
            break;
        }
        let finding = outcome
            .finding
            .map(|finding| Finding { folder: record.finding.folder.clone(), ..finding });
        attempts.count(finding, record.finding.kind);
        progress_of(&attempts);
    }
    Ok(attempts)
}

/// What no worker is there to see, in the process that `outcome` is of.
fn in_the_whole(kind: Kind, outcome: &Outcome, watcher: &Watcher) -> Option<Finding> {
    let Outcome { spec, elapsed, counters, notes, .. } = outcome;
    match kind {
        Kind::Growth => {
            // The attempt is planned to take as long as the run had: most of that must have been
            // seen.
            let enough = spec.length.time()? * 3 / 4;
            Some(watcher.growth(enough)?.finding(spec, *elapsed))
        }
        Kind::DidNotRace => did_not_race(spec, *elapsed, counters, notes),
        _ => None,
    }
}

impl Attempts {
    fn count(&mut self, found: Option<Finding>, kind: Kind) {
        self.tries += 1;
        let Some(found) = found else { return };
        let again = found.kind == kind;
        self.again += u32::from(again);
        self.other += u32::from(!again);
        if again || self.again == 0 {
            self.last = Some(found);
        }
    }
}

/// The episode once more, long enough to come as far.
fn free(record: &Record) -> Job {
    let length = match record.spec.length {
        Length::Once => Length::Once,
        _ => Length::of(Duration::from_secs(record.finding.replay_seconds)),
    };
    Job::plain(&Spec { length, ..record.spec.clone() })
}

/// A journal in a file that has no name, where children find it while this lives.
struct Script(File);

impl Script {
    fn new(journal: &Journal) -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        file.write_all(&journal.to_bytes())?;
        file.rewind()?;
        Ok(Self(file))
    }

    fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }

    /// The episode `spec` with this script in place of its workload.
    fn job(&self, spec: &Spec) -> Job {
        // The script says what is done: the trace is not read again.
        let spec = Spec { length: Length::of(LONGEST_SCRIPT), trace: None, ..spec.clone() };
        Job { script: Some(self.path()), ..Job::plain(&spec) }
    }
}
