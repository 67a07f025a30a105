//! What the harness found wrong.

use std::fmt;
use std::path::PathBuf;

use drystone_checker::schedule::Rates;
use drystone_checker::violation::Kind;
use drystone_harness::entry;
use drystone_harness::seed::Seed;
use drystone_workloads::registry::{Settings, Workload};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What stands on standard error between what the allocator printed and the backtrace.
pub const BACKTRACE_FOLLOWS: &str = "\n[drystone-stress: backtrace]\n";

/// One round of a process's workload, from one moment of rest to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// How many the process has begun, this one included.
    pub number: u64,
    /// The seed of its random choices.
    pub seed: Seed,
}

/// A variable of the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A text that sets no variable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` sets nothing: write NAME=VALUE")]
pub struct SetsNothing(String);

impl Variable {
    /// Reads `NAME=VALUE`.
    ///
    /// # Errors
    /// It is written otherwise.
    pub fn parse(text: &str) -> Result<Self, SetsNothing> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err(SetsNothing(text.to_owned())),
        }
    }
}

/// As it is written.
impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// One wrong answer of an allocator, and what is needed to see it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check that failed.
    pub kind: Kind,
    /// The allocator's name; in findings of before also a library's path.
    #[serde(alias = "subject")]
    pub allocator: String,
    /// The library that was preloaded, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<PathBuf>,
    /// The workload.
    pub workload: Workload,
    /// What was set of its parameters.
    #[serde(default)]
    pub settings: Settings,
    /// Worker threads.
    pub threads: usize,
    /// The run's seed, from which the seeds of all its episodes follow in order.
    pub seed: Seed,
    /// How often threads were disturbed.
    #[serde(default)]
    pub disturb: Rates,
    /// The round of its process in which it happened, if the workload is made of rounds and one was
    /// under way. What earlier ones have left in the allocator is not in its seed, so that it is
    /// printed and not replayed.
    #[serde(alias = "episode")]
    pub round: Option<Round>,
    /// Milliseconds from the run's beginning to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_millis: Option<u64>,
    /// A time in seconds in which a replay comes as far: the run's own, and at least twice what it
    /// had taken; of memory that grows, what it had taken.
    pub replay_seconds: u64,
    /// The trace that was replayed.
    pub trace: Option<PathBuf>,
    /// Variables of the environment that were set for the allocator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<Variable>,
    /// Which calls to the OS were made to fail, if any were: then the scenario for that ran in
    /// place of the workload.
    #[serde(default, alias = "refused", skip_serializing_if = "Option::is_none")]
    pub injected: Option<String>,
    /// Where the workers were, where that is known: frames, one or two lines each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
    /// The folder that holds all that is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// The worker that saw it.
    pub thread: Option<usize>,
    /// How many operations that worker had begun in the run.
    pub operation: Option<u64>,
    /// What the worker was doing.
    pub doing: Option<String>,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub seen: String,
}

impl Finding {
    /// The command that shows it again: of the folder, if there is one.
    pub fn replay(&self) -> String {
        match &self.folder {
            Some(folder) => {
                format!("{} replay {}", entry::called(), quoted(&folder.to_string_lossy()))
            }
            None => self.rerun(),
        }
    }

    /// The command that makes the whole run again, from its first episode, and long enough to come
    /// as far. With one thread it repeats every operation in order; with more each thread makes the
    /// same random choices, in whatever order the threads meet. What the OS draws, such as
    /// addresses, is drawn anew.
    pub fn rerun(&self) -> String {
        let mut command = format!("{} --allocator {}", entry::called(), quoted(&self.named()));
        match &self.trace {
            Some(trace) => command += &format!(" --trace {}", quoted(&trace.to_string_lossy())),
            None => command += &format!(" --workload {}{}", self.workload, self.settings),
        }
        for variable in &self.environment {
            command += &format!(" --env {}", quoted(&variable.to_string()));
        }
        let Self { threads, seed, replay_seconds, .. } = self;
        command += &format!(" --threads {threads} --seed {seed} --for {replay_seconds}s");
        match self.disturb {
            Rates::DEFAULT => command,
            rates => command + &format!(" --disturb {}", rates.operations),
        }
    }
}

/// `text` as a shell reads it back.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Several lines: what, where, expected, seen, and the command that replays it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.injected {
            Some(injected) => write!(f, "{}: {}, {injected}", self.kind, self.allocator)?,
            None => write!(f, "{}: {}, workload {}", self.kind, self.allocator, self.workload)?,
        }
        if let Some(thread) = self.thread {
            write!(f, ", thread {thread}")?;
        }
        if let Some(operation) = self.operation {
            write!(f, ", operation {operation}")?;
        }
        if let Some(Round { number, seed }) = self.round {
            write!(f, ", round {number} (seed {seed})")?;
        }
        if let Some(doing) = &self.doing {
            write!(f, " ({doing})")?;
        }
        if let Some(millis) = self.after_millis {
            write!(f, ", after {:.1} s", millis as f64 / 1000.0)?;
        }
        writeln!(f)?;
        writeln!(f, "  expected  {}", self.expected)?;
        writeln!(f, "  seen      {}", self.seen)?;
        let call = self.doing.as_ref().map(|call| format!(":{}", call.replace(' ', "-")));
        let suppressed = self.kind.hyphenated() + &call.unwrap_or_default();
        writeln!(f, "  replay    {}", self.replay())?;
        write!(f, "  go on without it by  --suppress {suppressed}")
    }
}

impl Finding {
    /// The allocator as the command line names it.
    fn named(&self) -> String {
        match &self.library {
            Some(library) if !self.allocator.contains('/') => {
                format!("{}={}", self.allocator, library.display())
            }
            _ => self.allocator.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::spec::{Length, Spec};

    #[test]
    fn the_replay_is_of_the_whole_run_and_long_enough() {
        let replay = |length, seconds| {
            let mut spec = Spec::new("list", Workload::Mixed, 1, Seed(7), length);
            let (_, settings) = crate::model::spec::parse_workload("mixed:largest=64").unwrap();
            spec.settings = settings;
            let elapsed = Duration::from_secs_f64(seconds);
            let mut finding = spec.finding(elapsed, Kind::Overlap, "none", "one".to_owned());
            finding.round = Some(Round { number: 3, seed: Seed(9) });
            finding.operation = Some(17);
            let text = finding.to_string();
            assert!(text.contains("operation 17, round 3 (seed 0x0000000000000009)"), "{text}");
            let command = finding.replay();
            assert!(command.contains(" --seed 0x0000000000000007 "), "{command}");
            assert!(command.contains(" --workload mixed:largest=64 "), "{command}");
            command.rsplit(' ').next().unwrap().to_owned()
        };
        assert_eq!(replay(Length::Once, 0.1), "10s");
        assert_eq!(replay(Length::Once, 30.2), "61s");
        assert_eq!(replay(Length::Millis(90_500), 2.0), "91s");
    }

    #[test]
    fn the_command_names_the_library_that_was_preloaded() {
        let command = |allocator: &str, library: Option<&str>| {
            let spec = Spec::new(allocator, Workload::Mixed, 1, Seed(7), Length::Once);
            let spec = Spec { library: library.map(PathBuf::from), ..spec };
            let seen = "one".to_owned();
            spec.finding(Duration::ZERO, Kind::Overlap, "none", seen).rerun()
        };
        for (allocator, library, expected) in [
            ("linked:list", None, "linked:list"),
            ("mine", Some("/lib/libmine.so"), "mine=/lib/libmine.so"),
            // As findings of before have it.
            ("old/libmine.so", Some("/old/libmine.so"), "old/libmine.so"),
        ] {
            let command = command(allocator, library);
            let start = format!("cargo stress --allocator {expected} --workload mixed ");
            assert!(command.starts_with(&start), "{command}");
        }
    }

    #[test]
    fn the_replay_command_survives_a_shell() {
        assert_eq!(quoted("target/release/libx.so"), "target/release/libx.so");
        assert_eq!(quoted("my lib's.so"), r"'my lib'\''s.so'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_variable_is_read_as_it_is_written() {
        let variable = Variable::parse("A=b=c").unwrap();
        assert_eq!((variable.name.as_str(), variable.value.as_str()), ("A", "b=c"));
        assert_eq!(variable.to_string(), "A=b=c");
        assert!(Variable::parse("A").unwrap_err().to_string().contains("write NAME=VALUE"));
        assert!(Variable::parse("=b").is_err());
    }
}
