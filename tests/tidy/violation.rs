//! What a check finds.

use std::fmt;

/// A place, and a sentence that says what to change there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    file: String,
    line: usize,
    says: String,
}

impl Violation {
    pub fn new(file: &str, line: usize, says: impl Into<String>) -> Violation {
        Violation { file: file.to_owned(), line, says: says.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.says)
    }
}

/// Fails with all that a check found, a line for each.
#[track_caller]
pub fn none(mut found: Vec<Violation>) {
    found.sort();
    found.dedup();
    let lines: Vec<String> = found.iter().map(Violation::to_string).collect();
    assert!(found.is_empty(), "{} violations\n{}\n", found.len(), lines.join("\n"));
}
