//! What a campaign has found out, and what of it must not be.

use crate::allocators::Allocator;
use crate::mistake::{Kind, Mistake, row_name};
use crate::misuse::score::{End, Score};
use crate::outcome::Outcome;
use crate::plan::{Plan, Scoring};

/// What was done, and what came of it.
#[derive(Debug)]
pub struct Results {
    /// What was asked for.
    pub plan: Plan,
    /// Of each allocator, what comes of a process that only begins under it, if it does not come to
    /// `main`: then no row was run, and it stands for all of them.
    pub stillborn: Vec<Option<Outcome>>,
    /// Of each row of semantics, each allocator's outcome.
    pub rows: Vec<Vec<Outcome>>,
    /// Of each mistake, each allocator's score, and its twin's outcome; none where that was not
    /// asked for.
    pub mistakes: Vec<Vec<Scored>>,
    /// Stopped before the end.
    pub interrupted: bool,
}

/// A mistake with one allocator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scored {
    /// What became of it.
    pub score: Option<Score>,
    /// What became of its twin.
    pub twin: Option<Outcome>,
}

/// Something that must not be.
#[derive(Debug)]
pub struct Finding {
    /// The row's name.
    pub row: String,
    /// The allocator's name.
    pub allocator: String,
    /// What was seen.
    pub detail: String,
}

impl Results {
    /// Everything that must not be, row by row.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (allocator, stillborn) in self.plan.allocators.iter().zip(&self.stillborn) {
            if let Some(detail) = stillborn.as_ref().and_then(Outcome::detail) {
                let detail = format!("no process under it comes to main: {detail}");
                let (row, allocator) = ("every row".to_owned(), allocator.name.clone());
                findings.push(Finding { row, allocator, detail });
            }
        }
        let serves = |place: &usize| self.stillborn[*place].is_none();
        for (row, outcomes) in self.plan.rows.iter().zip(&self.rows) {
            for place in (0..self.plan.allocators.len()).filter(serves) {
                let (allocator, outcome) = (&self.plan.allocators[place], &outcomes[place]);
                if outcome.is_wrong() {
                    findings.push(Finding::of(row.name, allocator, outcome));
                }
            }
        }
        for (scoring, entries) in self.plan.mistakes.iter().zip(&self.mistakes) {
            for (allocator, scored) in self.plan.allocators.iter().zip(entries) {
                let name = |twin| row_name(scoring.mistake, scoring.size, twin);
                if let Some(score) = &scored.score
                    && let Some(expected) = wrong(allocator, *scoring, score)
                {
                    findings.push(Finding {
                        row: name(false),
                        allocator: allocator.name.clone(),
                        detail: format!("expected {expected}; {}", told(score)),
                    });
                }
                if let Some(twin) = scored.twin.as_ref().filter(|twin| twin.is_wrong()) {
                    findings.push(Finding::of(&name(true), allocator, twin));
                }
            }
        }
        findings
    }

    /// Rows, mistakes and twins that could not be checked here, with why.
    pub fn untold(&self) -> Vec<(String, &str)> {
        let rows = self.plan.rows.iter().zip(&self.rows).flat_map(|(row, outcomes)| {
            let untold = outcomes.iter().filter_map(Outcome::untold);
            untold.map(|why| (row.name.to_owned(), why))
        });
        let mistakes = self.plan.mistakes.iter().zip(&self.mistakes).flat_map(|(one, entries)| {
            let name = |twin| row_name(one.mistake, one.size, twin);
            entries.iter().flat_map(move |scored| {
                let score = scored.score.as_ref().filter(|score| score.end == End::CannotTell);
                let twin = scored.twin.as_ref().and_then(Outcome::untold);
                let made = score.map(|score| (name(false), score.how.as_str()));
                made.into_iter().chain(twin.map(|why| (name(true), why)))
            })
        });
        rows.chain(mistakes).collect()
    }
}

impl Finding {
    fn of(row: &str, allocator: &Allocator, outcome: &Outcome) -> Finding {
        let (row, allocator) = (row.to_owned(), allocator.name.clone());
        Finding { row, allocator, detail: outcome.detail().unwrap_or_default() }
    }
}

/// What was seen of a mistake, in a sentence.
pub fn told(score: &Score) -> String {
    let message = score.message.as_ref();
    let message = message.map_or(String::new(), |line| format!("; it printed: {line}"));
    format!("{}, {}{message}", score.end.name(), score.how)
}

/// What was expected, where a mistake's end must not be: what goes before it is right, and must go
/// well with everybody; a report is due from who has promised one.
fn wrong(allocator: &Allocator, scoring: Scoring, score: &Score) -> Option<&'static str> {
    match score.end {
        // Told by `untold`.
        End::Reported | End::CannotTell => None,
        End::SetUp => Some("what goes before the mistake to go well"),
        _ => must_report(allocator, scoring).then_some("a report"),
    }
}

/// Whether the allocator has promised to report this mistake.
fn must_report(allocator: &Allocator, Scoring { mistake, size, .. }: Scoring) -> bool {
    match mistake.kind() {
        Kind::DoubleFree | Kind::InvalidFree => allocator.promises_reports(),
        Kind::Write => mistake == Mistake::WriteAfterFree && allocator.promises_write_reports(size),
        Kind::SizeMismatch => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::Verdict;

    /// One mistake with one allocator, which promises nothing.
    fn results(score: End, twin: Outcome) -> Results {
        let allocator = Allocator {
            name: "one".to_owned(),
            library: None,
            version: String::new(),
            env: Vec::new(),
        };
        let scoring = Scoring { mistake: Mistake::FreeTwice, size: 8, made: true, twin: true };
        let score = Score { end: score, how: "no thread".to_owned(), message: None };
        Results {
            plan: Plan {
                allocators: vec![allocator],
                rows: Vec::new(),
                mistakes: vec![scoring],
                deadline: Duration::ZERO,
                jobs: 1,
            },
            stillborn: vec![None],
            rows: Vec::new(),
            mistakes: vec![vec![Scored { score: Some(score), twin: Some(twin) }]],
            interrupted: false,
        }
    }

    #[test]
    fn a_mistake_that_cannot_be_made_here_is_told() {
        let untold = Outcome::Said(Verdict::CannotTell { why: "no mapping".to_owned() });
        let results = results(End::CannotTell, untold);
        let names = ["misuse/double-free-immediate/8B", "twin/double-free-immediate/8B"];
        let expected = [(names[0].to_owned(), "no thread"), (names[1].to_owned(), "no mapping")];
        assert_eq!(results.untold(), expected);
        assert!(results.findings().is_empty());
    }

    #[test]
    fn what_goes_before_a_mistake_must_go_well_with_everybody() {
        let pass = || Outcome::Said(Verdict::Pass);
        assert_eq!(results(End::SetUp, pass()).findings().len(), 1);
        for end in [End::Silent, End::Fails, End::Crash] {
            assert!(results(end, pass()).findings().is_empty(), "{end:?}");
        }
    }
}
