//! What a child is asked to measure, and what it answers.

use std::path::PathBuf;

use drystone_checker::checks::Checks;
use serde::{Deserialize, Serialize};

use crate::model::spec::Spec;

/// The name of this tool, of which the children are.
pub const TOOL: &str = "cost";

/// What the child is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Allocator, threads, seed.
    pub spec: Spec,
    /// What is measured.
    pub task: Task,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "task")]
pub enum Task {
    /// Time.
    Time {
        /// What is done around each call.
        checks: Checks,
        /// Operations of each thread in a part.
        operations: usize,
        /// How many parts, of which the median counts; one more is made before.
        parts: u32,
        /// The file for the journal, where the checks have one.
        journal: Option<PathBuf>,
    },
    /// Memory.
    Memory {
        /// At how many live blocks.
        blocks: [usize; 2],
    },
}

/// What the child answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// The allocator does not serve this process: wrong usage.
    Rejected {
        /// One sentence that names what to change.
        why: String,
    },
    /// The time was measured.
    Time(Time),
    /// The memory was.
    Memory {
        /// Bytes of the harness's own at each number of live blocks.
        bytes: [u64; 2],
    },
}

/// How long operations took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Time {
    /// Operations in a second, of all threads together.
    pub per_second: f64,
    /// Processor time of the threads, nanoseconds for each operation.
    pub nanoseconds: f64,
}

/// Finds the answer in what a child printed; the allocator may have printed more.
pub fn answer(output: &[u8]) -> Option<Answer> {
    output.rsplit(|&byte| byte == b'\n').find_map(|line| serde_json::from_slice(line).ok())
}
