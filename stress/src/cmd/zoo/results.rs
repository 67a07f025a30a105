//! What came of all hunts, and the figures that sum it up.

use std::fs;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::cmd::zoo::faults::Fault;
use crate::cmd::zoo::hunt::Caught;
use crate::cmd::zoo::options::Options;

/// A fault, and what came of each hunt.
pub(super) type Hunted<'f> = (&'f Fault, Vec<Caught>);

/// All of it.
#[derive(Debug)]
pub(super) struct Results<'r> {
    /// The faults, in the order in which they were hunted.
    pub caught: &'r [Hunted<'r>],
    /// The clean build.
    pub clean: Clean,
    /// What was asked for.
    pub options: &'r Options,
    /// Where and when.
    pub made: Made,
}

/// What came of the clean build.
#[derive(Clone, Debug)]
pub(super) enum Clean {
    /// The hunt was stopped before it.
    NotRun,
    /// Nothing in this time, as is right.
    NothingIn(Duration),
    /// A false finding.
    Finding(Caught),
}

/// Where and when faults were hunted.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Made {
    /// Cores that there are.
    pub cores: usize,
    /// The processor, as the system calls it.
    pub processor: String,
    /// The date, in UTC.
    pub date: String,
}

impl Made {
    /// This machine, today.
    pub(super) fn here_and_now() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: model.map_or("an unknown processor", |(_, model)| model.trim()).to_owned(),
            date: now.split('T').next().unwrap_or_default().to_owned(),
        }
    }
}

/// The figures over all faults.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Summary {
    /// Hunts of faults that show from outside.
    pub hunts: usize,
    /// Of those, how many found the fault.
    pub found: usize,
    /// Of those, how many by the default run.
    pub found_by_default: usize,
    /// Of those, how many by a finding that names what was planted.
    pub named: usize,
    /// The median time of those that the default run found.
    #[serde(rename = "median_seconds", serialize_with = "seconds")]
    pub median: Duration,
    /// Faults that need not show from outside.
    pub hidden: usize,
    /// Of those, how many were found.
    pub hidden_found: usize,
}

impl Results<'_> {
    /// The figures over all faults.
    pub(super) fn summary(&self) -> Summary {
        let of_those =
            |shows: bool| self.caught.iter().filter(move |(fault, _)| fault.shows == shows);
        let shown: Vec<&Caught> = of_those(true).flat_map(|(_, times)| times).collect();
        let by_default = |one: &&&Caught| one.by.as_deref().is_some_and(|by| by != "conform");
        let found: Vec<&&Caught> = shown.iter().filter(by_default).collect();
        let is_found = |(_, times): &&Hunted<'_>| times.iter().any(|one| one.by.is_some());
        Summary {
            hunts: shown.len(),
            found: shown.iter().filter(|one| one.by.is_some()).count(),
            found_by_default: found.len(),
            named: found.iter().filter(|one| one.named).count(),
            median: median(found.iter().map(|one| one.took).collect()).unwrap_or_default(),
            hidden: of_those(false).count(),
            hidden_found: of_those(false).filter(is_found).count(),
        }
    }

    /// Whether it was stopped before the end.
    pub(super) fn interrupted(&self) -> bool {
        matches!(self.clean, Clean::NotRun)
    }
}

/// The median of times, if there is one.
pub(super) fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// A duration as a number of seconds.
///
/// # Errors
/// As the serializer.
pub(super) fn seconds<S: serde::Serializer>(
    time: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
