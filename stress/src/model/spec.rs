//! One run: what a child process is asked to do.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use drystone_checker::schedule::Rates;
use drystone_checker::violation::Kind;
use drystone_harness::seed::Seed;
use drystone_harness::text::size::{self, NoSize};
use drystone_harness::text::suggest;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::finding::{Finding, Variable};
use crate::model::suppressions::{Ignored, Suppression};

pub use drystone_workloads::registry::{Settings, Workload};

/// The least that a replay is given: a loaded machine is slow.
const SHORTEST_REPLAY: Duration = Duration::from_secs(10);

/// How long a run lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    /// So many milliseconds.
    Millis(u64),
    /// The workload once through.
    Once,
}

impl Length {
    /// `time`, to the millisecond.
    pub fn of(time: Duration) -> Self {
        Length::Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    /// The time, where there is one.
    pub fn time(self) -> Option<Duration> {
        match self {
            Length::Millis(millis) => Some(Duration::from_millis(millis)),
            Length::Once => None,
        }
    }
}

/// One run, handed to the child as one argument of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The allocator's name, or the path of a shared library.
    #[serde(alias = "subject")]
    pub allocator: String,
    /// The canonical path of the library that must be serving `malloc`.
    pub library: Option<PathBuf>,
    /// The workload.
    pub workload: Workload,
    /// What was set of its parameters.
    #[serde(default)]
    pub settings: Settings,
    /// Worker threads, at least one.
    pub threads: usize,
    /// The first episode's seed.
    pub seed: Seed,
    /// How long.
    pub length: Length,
    /// How often threads are disturbed.
    #[serde(default)]
    pub disturb: Rates,
    /// The trace to replay.
    pub trace: Option<PathBuf>,
    /// Faults of the allocator that are counted, and are no finding.
    #[serde(default, alias = "known", skip_serializing_if = "Vec::is_empty")]
    pub suppressions: Vec<Suppression>,
    /// Variables of the environment, for the allocator to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<Variable>,
    /// Kinds of findings that are counted only, whatever they end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<Ignored>,
}

impl Spec {
    /// A run of `workload` with its defaults on an allocator that is no library.
    pub fn new(
        allocator: &str,
        workload: Workload,
        threads: usize,
        seed: Seed,
        length: Length,
    ) -> Self {
        Self {
            allocator: allocator.to_owned(),
            library: None,
            workload,
            settings: Settings::default(),
            threads,
            seed,
            length,
            disturb: Rates::DEFAULT,
            trace: None,
            suppressions: Vec::new(),
            environment: Vec::new(),
            ignored: Vec::new(),
        }
    }

    /// A finding in this run, `elapsed` after its beginning, that no worker was there to see.
    pub fn finding(&self, elapsed: Duration, kind: Kind, expected: &str, seen: String) -> Finding {
        let planned = self.length.time().unwrap_or_default();
        let enough = elapsed.saturating_mul(2).max(planned).max(SHORTEST_REPLAY);
        Finding {
            kind,
            allocator: self.allocator.clone(),
            library: self.library.clone(),
            workload: self.workload,
            settings: self.settings.clone(),
            threads: self.threads,
            seed: self.seed,
            disturb: self.disturb,
            round: None,
            after_millis: Some(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
            replay_seconds: enough.as_secs() + u64::from(enough.subsec_nanos() > 0),
            trace: self.trace.clone(),
            environment: self.environment.clone(),
            injected: None,
            backtrace: None,
            folder: None,
            thread: None,
            operation: None,
            doing: None,
            expected: expected.to_owned(),
            seen,
        }
    }
}

/// Allocator and workload.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}{}", self.allocator, self.workload, self.settings)?;
        for variable in &self.environment {
            write!(f, " {variable}")?;
        }
        match &self.trace {
            Some(trace) => write!(f, " {}", trace.display()),
            None => Ok(()),
        }
    }
}

/// A text that means no workload, or sets of it what can't be set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WorkloadError {
    /// A name that no workload has, or none of its parameters; with a suggestion.
    #[error("{0}")]
    Unknown(String),
    /// A setting without a value.
    #[error(
        "workload `{text}`: `{setting}` sets nothing; write NAME=NUMBER, as in {name}:NAME=1000"
    )]
    SetsNothing {
        /// All that was written.
        text: String,
        /// The setting.
        setting: String,
        /// The workload.
        name: String,
    },
    /// A value that is no number.
    #[error("workload `{text}`: {why}")]
    NoNumber {
        /// All that was written.
        text: String,
        /// What is wrong with the value.
        why: NoSize,
    },
    /// A setting of a workload that has none.
    #[error("workload {workload} has no parameters: leave `{name}` out")]
    NoParameters {
        /// The workload.
        workload: Workload,
        /// What was set.
        name: String,
    },
    /// A value that the parameter can't have.
    #[error("workload {workload}: {name} must be {least} to {most}, not {value}")]
    OutOfRange {
        /// The workload.
        workload: Workload,
        /// The parameter.
        name: String,
        /// The least that it can be.
        least: u64,
        /// The most that it can be.
        most: u64,
        /// What was asked for.
        value: u64,
    },
}

/// Reads a workload with what is set of it: `churn`, `churn:slots=1000,largest=4K`.
///
/// # Errors
/// It means no workload, or sets of it what can't be set.
pub fn parse_workload(text: &str) -> Result<(Workload, Settings), WorkloadError> {
    let (name, rest) = match text.split_once(':') {
        Some((name, rest)) => (name, Some(rest)),
        None => (text, None),
    };
    let names: Vec<&str> = Workload::ALL.iter().map(|workload| workload.name()).collect();
    let workload = Workload::named(name).ok_or_else(|| unknown("workload", name, &names))?;
    let mut settings = Settings::default();
    for setting in rest.into_iter().flat_map(|rest| rest.split(',')) {
        let (name, value) = setting.split_once('=').ok_or_else(|| WorkloadError::SetsNothing {
            text: text.to_owned(),
            setting: setting.to_owned(),
            name: name.to_owned(),
        })?;
        let value = size::parse(value)
            .map_err(|why| WorkloadError::NoNumber { text: text.to_owned(), why })?;
        set(&mut settings, workload, name, value)?;
    }
    Ok((workload, settings))
}

/// Sets one parameter of a workload.
///
/// # Errors
/// As [`parse_workload`].
pub fn set(
    settings: &mut Settings,
    workload: Workload,
    name: &str,
    value: u64,
) -> Result<(), WorkloadError> {
    let Some(parameter) = workload.parameter(name) else {
        let names: Vec<&str> = workload.parameters().iter().map(|one| one.name).collect();
        return Err(match names.is_empty() {
            true => WorkloadError::NoParameters { workload, name: name.to_owned() },
            false => unknown(&format!("parameter of workload {workload}"), name, &names),
        });
    };
    if settings.set(parameter, value) {
        return Ok(());
    }
    let (least, most) = (parameter.least, parameter.most);
    Err(WorkloadError::OutOfRange { workload, name: name.to_owned(), least, most, value })
}

fn unknown(what: &str, name: &str, names: &[&str]) -> WorkloadError {
    WorkloadError::Unknown(suggest::reject(what, name, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_read_with_their_parameters() {
        let (workload, settings) = parse_workload("mixed:largest=4K,live=1M").unwrap();
        assert_eq!(workload, Workload::Mixed);
        assert_eq!(settings.to_string(), ":largest=4096,live=1048576");
        let again = format!("{workload}{settings}");
        assert_eq!(parse_workload(&again), Ok((workload, settings)));
        assert_eq!(parse_workload("duel"), Ok((Workload::DoubleFree, Settings::default())));
    }

    #[test]
    fn what_is_wrong_with_one_is_named() {
        let rejected = |text| parse_workload(text).unwrap_err().to_string();
        assert!(rejected("mixd").contains("Did you mean `mixed`?"));
        assert!(rejected("mixed:lagrest=1").contains("Did you mean `largest`?"));
        assert!(rejected("mixed:largest").contains("`largest` sets nothing"));
        assert!(rejected("mixed:largest=1X").contains("`1X` is no number"));
        assert!(rejected("mixed:largest=1G").contains("must be 0 to 67108864, not 1073741824"));
        assert!(rejected("duel:x=1").contains("has no parameters"));
        assert!(rejected("mixed:live=99999999999999999999").contains("is no number"));
    }
}
