//! What a child is asked to do, and what it answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::bench::probe::latency::Latencies;
use crate::bench::probe::line::Line;
use crate::bench::probe::memory::Memory;

/// The name of this tool, of which the children are.
pub const TOOL: &str = "bench";

/// What the child is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What to do.
    pub task: Task,
    /// The canonical path of the library that must be serving `malloc`; none for the C library's
    /// own.
    pub library: Option<PathBuf>,
}

/// What is done with the allocator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "task")]
pub enum Task {
    /// Nothing, but to prove that it serves.
    Prove,
    /// Nothing: the row's data are made, and the peak is read.
    Floor {
        /// The row's name.
        row: String,
        /// The file of the script, for a trace.
        script: Option<PathBuf>,
    },
    /// The row.
    Row {
        /// The row's name.
        row: String,
        /// How often.
        passes: u64,
        /// The file of the script, for a trace.
        script: Option<PathBuf>,
        /// What is looked at.
        look: Look,
    },
    /// So many pairs of an allocation and a free, for a tool that counts instructions.
    Pairs {
        /// The call that is not the free: a name of `work::pairs`.
        call: String,
        /// How many.
        pairs: u64,
        /// Whether to call the allocator, or functions that do nothing.
        allocator: bool,
    },
}

/// What is looked at in a run of a row: each in a run of its own, so that none disturbs the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Look {
    /// The time, the peak, the faults.
    Time,
    /// How long each call takes.
    Latency,
    /// What is live, and resident for it.
    Memory,
}

/// What the child answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// The allocator does not serve this process, or the job can't be read: wrong usage.
    Rejected {
        /// One sentence that names what to change.
        why: String,
    },
    /// The work is done.
    Done(Sample),
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The file that the function called as `malloc` is in, by its address.
    pub served_by: PathBuf,
    /// Calls in the steady part.
    pub operations: u64,
    /// Nanoseconds per call in the steady part; 0 where nothing was measured.
    pub nanoseconds: f64,
    /// The largest resident set in KiB, all of the process.
    pub peak: u64,
    /// Of that, what was resident when the row began.
    pub floor: u64,
    /// Minor faults since the row began.
    pub faults: u64,
    /// Involuntary context switches since the row began.
    pub switches: u64,
    /// How often the allocator took its span lock since the row began, where it says so.
    pub locked: Option<u64>,
    /// What two threads gain, where that is measured.
    pub gains: Option<Gains>,
    /// A cache line's way between two threads, in a row that is timed by the wall's clock.
    pub line: Option<Line>,
    /// How long each call took, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latency: Option<Box<Latencies>>,
    /// What was live and resident, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory: Option<Memory>,
}

/// How much more two threads do than one in the same time; 2 where nothing is shared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gains {
    /// With private blocks, a ring of 256 each.
    pub memory: f64,
    /// With registers only.
    pub registers: f64,
}

impl Gains {
    /// What the allocator leaves of the gain there was; 1 if it costs none.
    pub fn kept(self) -> f64 {
        self.memory / self.registers
    }
}

/// Finds the answer in what a child printed; the allocator may have printed more.
pub fn answer(output: &[u8]) -> Option<Answer> {
    output.rsplit(|&byte| byte == b'\n').find_map(|line| serde_json::from_slice(line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_among_the_allocators_talk() {
        let rejected = Answer::Rejected { why: "so".to_owned() };
        let mut output = b"hello {\n".to_vec();
        output.extend(serde_json::to_vec(&rejected).unwrap());
        output.extend(b"\n\xff half");
        assert_eq!(answer(&output), Some(rejected));
        assert_eq!(answer(b"nothing\n"), None);
    }
}
