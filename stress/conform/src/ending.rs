//! One child with its allocator preloaded: how it ended, and what its lines say.

use std::path::PathBuf;

use drystone_harness::process::launcher::{End, LaunchError, Launcher};
use drystone_harness::process::preload::{said, tail};
use drystone_harness::stop::Stop;
use thiserror::Error;

use crate::allocators::Allocator;
use crate::outcome::{Outcome, Verdict};
use crate::protocol::job::{Job, Line, TOOL};

/// A child's end and output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Its lines.
    pub lines: Vec<Line>,
    /// What stood on its standard output besides, the beginning of it: the allocator's words.
    pub besides: String,
    /// How it ended.
    pub end: End,
    /// The end of what it printed on standard error.
    pub words: String,
}

/// Why nothing is known of an allocator: none of it is the allocator's fault.
#[derive(Debug, Error)]
pub enum ChildError {
    /// The process can't be started or waited for.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The process can't do what it was asked to.
    #[error("allocator {allocator}: {why}")]
    Rejected {
        /// Whose process it is.
        allocator: String,
        /// As it said, and what the loader said besides.
        why: String,
    },
    /// Another allocator was there.
    #[error("allocator {allocator}: served by {}", by.display())]
    ServedByAnother {
        /// Who was meant.
        allocator: String,
        /// The object that `malloc` was of.
        by: PathBuf,
    },
}

/// Of what a child prints on standard error, the end, in bytes.
const TAIL: usize = 2048;

/// Runs one child to its end, its deadline, or `stop`. A child that says that it is served by
/// anybody but the allocator is an error: nothing is said of an allocator that was not there. One
/// that dies or hangs before it can say who serves it is held against the allocator, and its
/// outcome says so.
///
/// # Errors
/// It can't be started or waited for, or the allocator did not serve it.
pub fn run(
    launcher: &Launcher,
    allocator: &Allocator,
    job: &Job,
    stop: &Stop,
) -> Result<Ending, ChildError> {
    let mut command = launcher.child(&[], TOOL, job, job.library.as_deref())?;
    command.envs(allocator.env.iter().map(|(name, value)| (name, value)));
    let ended = launcher.run(command, stop)?;
    let (lines, besides) = (Line::all(&ended.output), Line::besides(&ended.output));
    let words = tail(&ended.errors, TAIL);
    let name = || allocator.name.clone();
    for line in &lines {
        match line {
            Line::Rejected { why } => {
                // The loader may have said why.
                let besides = match words.is_empty() {
                    true => String::new(),
                    false => format!("; {}", said(&words)),
                };
                let why = format!("{why}{besides}");
                return Err(ChildError::Rejected { allocator: name(), why });
            }
            Line::Served { by } if job.library.as_ref().is_some_and(|it| it != by) => {
                return Err(ChildError::ServedByAnother { allocator: name(), by: by.clone() });
            }
            _ => {}
        }
    }
    Ok(Ending { lines, besides, end: ended.end, words })
}

impl Ending {
    /// Whether it came so far as to say who serves it.
    pub fn served(&self) -> bool {
        self.lines.iter().any(|line| matches!(line, Line::Served { .. }))
    }

    /// What came of a check.
    pub fn outcome(&self) -> Outcome {
        let mut verdicts = self.lines.iter().filter_map(|line| match line {
            Line::Done(verdict) => Some(verdict),
            _ => None,
        });
        // A check of what happens after main may take back what was said before.
        let last = verdicts.next_back();
        let failed = matches!(last, Some(Verdict::Fail { .. }));
        match (self.end, last) {
            (End::Stopped, _) => Outcome::Stopped,
            (End::Hung(after), _) => Outcome::Hang { after },
            (End::Exited(0), Some(verdict)) => Outcome::Said(verdict.clone()),
            (End::Exited(_), Some(verdict)) if failed => Outcome::Said(verdict.clone()),
            (_, last) => {
                let after = match last {
                    Some(_) => " after its check",
                    None if !self.served() => " before it could say who serves it",
                    None => "",
                };
                Outcome::Crash { how: format!("{}{after}", self.end), words: self.words.clone() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    fn outcome(lines: &[Line], end: End) -> Outcome {
        let (lines, besides, words) = (lines.to_vec(), String::new(), String::new());
        Ending { lines, besides, end, words }.outcome()
    }

    #[test]
    fn only_a_child_that_ends_well_has_passed() {
        let pass = Line::Done(Verdict::Pass);
        let fail = Verdict::Fail { expected: "a".to_owned(), got: "b".to_owned() };
        let failed = Line::Done(fail.clone());
        assert_eq!(outcome(from_ref(&pass), End::Exited(0)), Outcome::Said(Verdict::Pass));
        let crash = outcome(from_ref(&pass), End::Killed(libc::SIGSEGV));
        assert_eq!(crash.detail().unwrap(), "killed by SIGSEGV after its check");
        assert!(outcome(&[], End::Exited(0)).is_wrong());
        let early = outcome(&[], End::Killed(libc::SIGSEGV));
        assert_eq!(early.detail().unwrap(), "killed by SIGSEGV before it could say who serves it");
        let served = Line::Served { by: PathBuf::from("a.so") };
        let crash = outcome(&[served], End::Killed(libc::SIGSEGV));
        assert_eq!(crash.detail().unwrap(), "killed by SIGSEGV");
        assert!(outcome(from_ref(&pass), End::Exited(3)).is_wrong());
        assert_eq!(outcome(&[pass, failed], End::Exited(1)), Outcome::Said(fail));
        assert_eq!(outcome(&[], End::Hung(7)), Outcome::Hang { after: 7 });
    }

    #[test]
    fn what_an_allocator_prints_hides_no_line() {
        let output = b"half a word{\"line\":\"mistake\"}\n\xff\n{\"line\":\"returned\"}\n{}";
        assert_eq!(Line::all(output), [Line::Returned]);
        assert_eq!(Line::besides(output), "half a word{\"line\":\"mistake\"}\n\u{fffd}\n{}");
        let text = format!("half{}", Line::Mistake.text());
        assert_eq!(Line::all(text.as_bytes()), [Line::Mistake]);
    }
}
