//! What a child is asked to do, and the lines that it prints.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::mistake::Mistake;
use crate::outcome::Verdict;

/// The name of this tool, of which the children are.
pub const TOOL: &str = "conform";

/// One row with one allocator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What to do.
    pub task: Task,
    /// The canonical path of the library that must be serving `malloc`; none for the C library's
    /// own.
    pub library: Option<PathBuf>,
    /// The library that checks load, where there is a C compiler.
    pub fixture: Option<PathBuf>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "task")]
pub enum Task {
    /// Nothing: to say who serves, and to end.
    Begin,
    /// A row of semantics.
    Check {
        /// Its name.
        row: String,
    },
    /// A mistake, or its benign twin.
    Mistake {
        /// Which.
        mistake: Mistake,
        /// Bytes of the block.
        size: usize,
        /// Whether all is done but the mistake.
        twin: bool,
    },
}

/// A line on the child's standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "line")]
pub enum Line {
    /// The function called as `malloc` is of this object.
    Served {
        /// Its canonical path.
        by: PathBuf,
    },
    /// The allocator does not serve this process, or the job can't be read.
    Rejected {
        /// One sentence that names what to change.
        why: String,
    },
    /// The check is done.
    Done(Verdict),
    /// The mistake is about to be made.
    Mistake,
    /// The mistake is made, and every call that had to notice it has returned.
    Returned,
    /// The mistake can't be made with this allocator.
    NotMade {
        /// Why.
        why: String,
    },
    /// Two live blocks share memory.
    TwoOwners,
}

/// The text of [`Line::Done`] with a failure, in pieces that need no memory. Both sentences must be
/// such as JSON takes as they are.
pub fn failed(expected: &'static str, got: &'static str) -> [&'static str; 5] {
    let begin = "\n{\"line\":\"done\",\"verdict\":\"fail\",\"expected\":\"";
    [begin, expected, "\",\"got\":\"", got, "\"}\n"]
}

impl Line {
    /// As it is printed, with its line break. It stands alone whatever the allocator has printed
    /// before.
    pub fn text(&self) -> String {
        let line = serde_json::to_string(self).expect("a line has no keys but strings");
        format!("\n{line}\n")
    }

    /// Those in a child's output; what else is there is the allocator's.
    pub fn all(output: &[u8]) -> Vec<Line> {
        let lines = output.split(|byte| *byte == b'\n');
        lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// The beginning of what else is there, except empty lines.
    pub fn besides(output: &[u8]) -> String {
        const LINES: usize = 3;
        let lines = output.split(|byte| *byte == b'\n');
        let others =
            lines.filter(|line| !line.is_empty() && serde_json::from_slice::<Line>(line).is_err());
        let others: Vec<_> = others.take(LINES).map(String::from_utf8_lossy).collect();
        others.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_in_pieces_is_the_same_line() {
        let line = Line::Done(Verdict::Fail {
            expected: "a heap".to_owned(),
            got: "it's none".to_owned(),
        });
        assert_eq!(failed("a heap", "it's none").concat(), line.text());
    }
}
