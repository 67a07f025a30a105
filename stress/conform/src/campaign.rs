//! All rows with all allocators, several at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Result;
use drystone_harness::process::dlopen_fixture::DlopenFixture;
use drystone_harness::process::launcher::{self, Launcher};
use drystone_harness::stop::Stop;

use crate::allocators::Allocator;
use crate::cli::{Plan, Scoring};
use crate::ending::{self, Ending};
use crate::mistake::Kind;
use crate::mistake::Mistake;
use crate::misuse::score::{End, Score};
use crate::outcome::{Outcome, Verdict};
use crate::protocol::job::{Job, Task};
use crate::row::Row;
use crate::rows::{SAYS_NOTHING, mistake_name};

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

/// One task of the campaign.
#[derive(Clone, Copy)]
enum Step {
    Row(usize),
    Mistake(usize),
    Twin(usize),
}

/// Runs the plan; `told` is called after each row.
///
/// # Errors
/// A child can't be started, or an allocator does not serve it.
pub fn run(
    plan: Plan,
    launcher: &Launcher,
    fixture: Option<&DlopenFixture>,
    stop: &Stop,
    told: &(dyn Fn(&str, &str) + Sync),
) -> Result<Results> {
    let worker = Worker { plan: &plan, launcher, fixture, stop };
    let begun = plan.allocators.iter().map(|allocator| worker.stillborn(allocator));
    let stillborn = begun.collect::<Result<Vec<_>>>()?;
    let mut steps = steps(&plan);
    steps.retain(|(_, allocator)| stillborn[*allocator].is_none());
    let untried: Vec<Outcome> =
        stillborn.iter().map(|one| one.clone().unwrap_or(Outcome::Stopped)).collect();
    let results = Mutex::new(Results {
        stillborn,
        rows: vec![untried; plan.rows.len()],
        mistakes: vec![vec![Scored::default(); plan.allocators.len()]; plan.mistakes.len()],
        plan: plan.clone(),
        interrupted: false,
    });
    let failure = Mutex::new(None);
    // Relaxed: a counter; what the tasks make is under a mutex.
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(&(step, allocator)) = steps.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.is_set() || failure.lock().expect("no panic").is_some() {
                return;
            }
            if let Err(error) = worker.take(step, allocator, &results, told) {
                *failure.lock().expect("no panic") = Some(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..plan.jobs {
            scope.spawn(work);
        }
    });
    if let Some(error) = failure.into_inner().expect("no panic") {
        return Err(error);
    }
    let mut results = results.into_inner().expect("no panic");
    results.interrupted = stop.is_set();
    Ok(results)
}

/// How often `told` is called when nothing stops the run and every allocator serves: once for each
/// allocator with each row, mistake and twin.
pub fn count(plan: &Plan) -> u64 {
    steps(plan).len() as u64
}

fn steps(plan: &Plan) -> Vec<(Step, usize)> {
    let rows = (0..plan.rows.len()).map(Step::Row);
    let mistakes = plan.mistakes.iter().enumerate().flat_map(|(place, scoring)| {
        let made = scoring.made.then_some(Step::Mistake(place));
        let twin = scoring.twin.then_some(Step::Twin(place));
        made.into_iter().chain(twin)
    });
    let every = |step| (0..plan.allocators.len()).map(move |allocator| (step, allocator));
    rows.chain(mistakes).flat_map(every).collect()
}

struct Worker<'a> {
    plan: &'a Plan,
    launcher: &'a Launcher,
    fixture: Option<&'a DlopenFixture>,
    stop: &'a Stop,
}

impl Worker<'_> {
    fn take(
        &self,
        step: Step,
        place: usize,
        results: &Mutex<Results>,
        told: &(dyn Fn(&str, &str) + Sync),
    ) -> Result<()> {
        let allocator = &self.plan.allocators[place];
        let locked = || results.lock().expect("no panic");
        match step {
            Step::Row(row) => {
                let Row { name, .. } = self.plan.rows[row];
                let outcome = self.row(allocator, name)?;
                locked().rows[row][place] = outcome;
                told(name, &allocator.name);
            }
            Step::Mistake(row) => {
                let scoring = self.plan.mistakes[row];
                let score = self.score(allocator, scoring)?;
                locked().mistakes[row][place].score = score;
                told(&mistake_name(scoring.mistake, scoring.size, false), &allocator.name);
            }
            Step::Twin(row) => {
                let Scoring { mistake, size, .. } = self.plan.mistakes[row];
                let outcome = self.check(allocator, Task::Mistake { mistake, size, twin: true })?;
                locked().mistakes[row][place].twin = Some(outcome);
                told(&mistake_name(mistake, size, true), &allocator.name);
            }
        }
        Ok(())
    }

    fn job(&self, allocator: &Allocator, task: Task) -> Job {
        let fixture = self.fixture.map(DlopenFixture::path);
        Job { task, library: allocator.library.clone(), fixture }
    }

    fn child(&self, allocator: &Allocator, job: &Job) -> Result<Ending> {
        ending::run(self.launcher, allocator, job, self.stop)
    }

    /// What comes of a process that only begins, if it does not come so far as to say who serves
    /// it.
    fn stillborn(&self, allocator: &Allocator) -> Result<Option<Outcome>> {
        let ending = self.child(allocator, &self.job(allocator, Task::Begin))?;
        let begun = ending.served() || ending.end == launcher::End::Stopped;
        Ok((!begun).then(|| ending.outcome()))
    }

    fn row(&self, allocator: &Allocator, name: &str) -> Result<Outcome> {
        let job = self.job(allocator, Task::Check { row: name.to_owned() });
        let ending = self.child(allocator, &job)?;
        let outcome = ending.outcome();
        // What is said before `main` and at the end the check itself can't see.
        let talk = [ending.besides, ending.words].into_iter().find(|said| !said.is_empty());
        Ok(match (outcome, talk) {
            (Outcome::Said(Verdict::Pass), Some(got)) if name == SAYS_NOTHING => {
                let expected = "no output before main and at exit".to_owned();
                Outcome::Said(Verdict::Fail { expected, got: format!("{got:?}") })
            }
            (outcome, _) => outcome,
        })
    }

    fn check(&self, allocator: &Allocator, task: Task) -> Result<Outcome> {
        Ok(self.child(allocator, &self.job(allocator, task))?.outcome())
    }

    /// The worst of a mistake's repetitions; none if it was stopped.
    fn score(&self, allocator: &Allocator, scoring: Scoring) -> Result<Option<Score>> {
        let Scoring { mistake, size, .. } = scoring;
        let job = self.job(allocator, Task::Mistake { mistake, size, twin: false });
        let mut worst: Option<Score> = None;
        for _ in 0..mistake.repeats() {
            let ending = self.child(allocator, &job)?;
            if ending.end == launcher::End::Stopped {
                return Ok(None);
            }
            let score = Score::of(mistake, &ending);
            if worst.as_ref().is_none_or(|worst| score.end > worst.end) {
                worst = Some(score);
            }
        }
        Ok(worst)
    }
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
                let name = |twin| mistake_name(scoring.mistake, scoring.size, twin);
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
            let name = |twin| mistake_name(one.mistake, one.size, twin);
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
        for end in [End::Silent, End::Refuses, End::Crash] {
            assert!(results(end, pass()).findings().is_empty(), "{end:?}");
        }
    }
}
