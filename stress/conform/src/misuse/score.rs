//! What became of a mistake.

use drystone_harness::process::launcher;
use serde::Serialize;

use crate::ending::Ending;
use crate::mistake::Mistake;
use crate::misuse::messages::naming;
use crate::outcome::Verdict;
use crate::protocol::job::Line;

/// How it ended, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The allocator does not define the function.
    NotOffered,
    /// The mistake can't be made with this allocator.
    NotMade,
    /// Named at the call, and dead by its signal.
    Reported,
    /// The machine lacks what the mistake needs.
    CannotTell,
    /// The same as reported, later.
    Deferred,
    /// Dead in any other way.
    Crash,
    /// Not done in time.
    Hang,
    /// Nothing.
    Silent,
    /// Nothing, and then a request failed though memory is there.
    Fails,
    /// Nothing, and one piece of memory given to two.
    TwoOwners,
    /// It never came to the mistake: what goes before it, which is right, failed.
    SetUp,
}

impl End {
    /// The columns of a table.
    pub const COLUMNS: [End; 7] = [
        End::Reported,
        End::Crash,
        End::Deferred,
        End::Hang,
        End::TwoOwners,
        End::Fails,
        End::Silent,
    ];
    /// Where the mistake was not made.
    pub const NOT_MADE: [End; 4] = [End::NotMade, End::NotOffered, End::CannotTell, End::SetUp];

    /// As columns spell it.
    pub fn name(self) -> &'static str {
        match self {
            End::NotOffered => "not offered",
            End::NotMade => "not made",
            End::Reported => "reported",
            End::CannotTell => "cannot tell",
            End::Deferred => "deferred report",
            End::Crash => "crash",
            End::Hang => "hang",
            End::Silent => "silent",
            End::Fails => "then fails",
            End::TwoOwners => "two owners",
            End::SetUp => "failed before the mistake",
        }
    }
}

/// What became of a mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Score {
    /// How it ended.
    pub end: End,
    /// The process's end.
    pub how: String,
    /// The line that named the mistake, else the first that was printed.
    pub message: Option<String>,
}

impl Score {
    /// The score of a child's end.
    pub fn of(mistake: Mistake, ending: &Ending) -> Score {
        let named = naming(&ending.words, mistake.kind());
        let first = ending.words.lines().find(|line| !line.trim().is_empty());
        let score =
            |end, how: String| Score { end, how, message: named.or(first).map(str::to_owned) };
        let said = |wanted: &Line| ending.lines.contains(wanted);
        let (mut how, mut failed) = (ending.end.to_string(), false);
        for line in &ending.lines {
            match line {
                Line::NotMade { why } => return score(End::NotMade, why.clone()),
                Line::Done(Verdict::NotOffered { what }) => {
                    return score(End::NotOffered, format!("it does not define {what}"));
                }
                Line::Done(Verdict::CannotTell { why }) => {
                    return score(End::CannotTell, why.clone());
                }
                Line::Done(Verdict::Fail { expected, got }) => {
                    failed = true;
                    how = format!("expected {expected}; got {got}; {how}");
                }
                Line::Done(Verdict::Pass | Verdict::Behaviour { .. })
                | Line::Served { .. }
                | Line::Rejected { .. }
                | Line::Mistake
                | Line::Returned
                | Line::TwoOwners => {}
            }
        }
        if !said(&Line::Mistake) {
            return score(End::SetUp, how);
        }
        if said(&Line::TwoOwners) {
            return score(End::TwoOwners, how);
        }
        let end = match ending.end {
            launcher::End::Hung(_) => End::Hang,
            launcher::End::Killed(libc::SIGABRT | libc::SIGILL | libc::SIGTRAP)
                if named.is_some() =>
            {
                if said(&Line::Returned) {
                    End::Deferred
                } else {
                    End::Reported
                }
            }
            launcher::End::Exited(0) if failed => End::Fails,
            launcher::End::Exited(0) => End::Silent,
            _ => End::Crash,
        };
        score(end, how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(lines: &[Line], end: launcher::End, words: &str) -> End {
        let (lines, besides, words) = (lines.to_vec(), String::new(), words.to_owned());
        let ending = Ending { lines, besides, end, words };
        Score::of(Mistake::FreeTwice, &ending).end
    }

    #[test]
    fn a_report_must_name_the_mistake_and_end_the_process() {
        let (before, after) = (&[Line::Mistake][..], &[Line::Mistake, Line::Returned][..]);
        let (abort, words) =
            (launcher::End::Killed(libc::SIGABRT), "double free or corruption (out)");
        assert_eq!(end(before, abort, words), End::Reported);
        assert_eq!(end(after, abort, words), End::Deferred);
        assert_eq!(end(before, launcher::End::Killed(libc::SIGSEGV), words), End::Crash);
        assert_eq!(end(before, abort, ""), End::Crash);
        assert_eq!(end(before, abort, "corrupted size vs. prev_size"), End::Crash);
        assert_eq!(end(after, launcher::End::Exited(0), words), End::Silent);
        assert_eq!(end(after, launcher::End::Exited(3), words), End::Crash);
        assert_eq!(end(after, launcher::End::Hung(5), ""), End::Hang);
        let both = &[Line::Mistake, Line::Returned, Line::TwoOwners];
        assert_eq!(end(both, launcher::End::Exited(0), ""), End::TwoOwners);
    }

    #[test]
    fn what_goes_wrong_before_the_mistake_or_beside_it_has_ends_of_its_own() {
        let well = launcher::End::Exited(0);
        let failed =
            Line::Done(Verdict::Fail { expected: "8 bytes".to_owned(), got: "null".to_owned() });
        let untold = Line::Done(Verdict::CannotTell { why: "no thread".to_owned() });
        // A process that dies before the mistake has reported nothing.
        assert_eq!(end(&[], launcher::End::Killed(libc::SIGABRT), "double free"), End::SetUp);
        assert_eq!(end(&[], launcher::End::Hung(5), ""), End::SetUp);
        assert_eq!(end(std::slice::from_ref(&failed), well, ""), End::SetUp);
        assert_eq!(end(&[untold], well, ""), End::CannotTell);
        assert_eq!(end(&[Line::Mistake, Line::Returned, failed], well, ""), End::Fails);
        // The worst of several counts.
        assert!(End::Reported < End::CannotTell && End::CannotTell < End::Deferred);
        assert!(End::Silent < End::Fails && End::Fails < End::TwoOwners);
    }
}
