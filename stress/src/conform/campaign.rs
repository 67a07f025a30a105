//! All rows with all subjects, several at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Result;

use super::cli::{Plan, Scoring};
use super::job::{Job, Task};
use super::launch::{Launcher, Status};
use super::loaded::Loaded;
use super::misuse::messages::Kind;
use super::misuse::mistakes::Mistake;
use super::misuse::score::{End, Score};
use super::outcome::{Outcome, Verdict};
use super::rows::{Row, mistake_name};
use super::subjects::Subject;
use crate::stop::Stop;

/// What was done, and what came of it.
pub struct Results {
    /// What was asked for.
    pub plan: Plan,
    /// Of each row of semantics, each subject's outcome.
    pub rows: Vec<Vec<Outcome>>,
    /// Of each mistake, each subject's score, and its twin's outcome; none where that was not asked for.
    pub mistakes: Vec<Vec<Scored>>,
    /// Stopped before the end.
    pub interrupted: bool,
}

/// A mistake with one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scored {
    /// What became of it.
    pub score: Option<Score>,
    /// What became of its twin.
    pub twin: Option<Outcome>,
}

/// Something that must not be.
pub struct Finding {
    /// The row's name.
    pub row: String,
    /// The subject's name.
    pub subject: String,
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
/// A child can't be started, or a subject does not serve it.
pub fn run(
    plan: Plan,
    launcher: &Launcher,
    loaded: Option<&Loaded>,
    stop: &Stop,
    told: &(dyn Fn(&str, &str) + Sync),
) -> Result<Results> {
    let steps = steps(&plan);
    let results = Mutex::new(Results {
        rows: vec![vec![Outcome::Stopped; plan.subjects.len()]; plan.rows.len()],
        mistakes: vec![vec![Scored::default(); plan.subjects.len()]; plan.mistakes.len()],
        plan: plan.clone(),
        interrupted: false,
    });
    let failure = Mutex::new(None);
    // Relaxed: a counter; what the tasks make is under a mutex.
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(&(step, subject)) = steps.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.is_set() || failure.lock().expect("no panic").is_some() {
                return;
            }
            let worker = Worker { plan: &plan, launcher, loaded, stop };
            if let Err(error) = worker.take(step, subject, &results, told) {
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

/// How many rows there are.
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
    let every = |step| (0..plan.subjects.len()).map(move |subject| (step, subject));
    rows.chain(mistakes).flat_map(every).collect()
}

struct Worker<'a> {
    plan: &'a Plan,
    launcher: &'a Launcher,
    loaded: Option<&'a Loaded>,
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
        let subject = &self.plan.subjects[place];
        let locked = || results.lock().expect("no panic");
        match step {
            Step::Row(row) => {
                let Row { name, .. } = self.plan.rows[row];
                let outcome = self.check(subject, Task::Check { row: (*name).to_owned() })?;
                locked().rows[row][place] = outcome;
                told(name, &subject.name);
            }
            Step::Mistake(row) => {
                let scoring = self.plan.mistakes[row];
                let score = self.score(subject, scoring)?;
                locked().mistakes[row][place].score = score;
                told(&mistake_name(scoring.mistake, scoring.size, false), &subject.name);
            }
            Step::Twin(row) => {
                let Scoring { mistake, size, .. } = self.plan.mistakes[row];
                let outcome = self.check(subject, Task::Mistake { mistake, size, twin: true })?;
                locked().mistakes[row][place].twin = Some(outcome);
                told(&mistake_name(mistake, size, true), &subject.name);
            }
        }
        Ok(())
    }

    fn job(&self, subject: &Subject, task: Task) -> Job {
        let loaded = self.loaded.map(Loaded::path);
        Job { task, library: subject.library.clone(), loaded }
    }

    fn check(&self, subject: &Subject, task: Task) -> Result<Outcome> {
        Ok(self.launcher.run(subject, &self.job(subject, task), self.stop)?.outcome())
    }

    /// The worst of a mistake's repetitions; none if it was stopped.
    fn score(&self, subject: &Subject, scoring: Scoring) -> Result<Option<Score>> {
        let Scoring { mistake, size, .. } = scoring;
        let job = self.job(subject, Task::Mistake { mistake, size, twin: false });
        let mut worst: Option<Score> = None;
        for _ in 0..mistake.repeats() {
            let ending = self.launcher.run(subject, &job, self.stop)?;
            if ending.status == Status::Stopped {
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
        for (row, outcomes) in self.plan.rows.iter().zip(&self.rows) {
            for (subject, outcome) in self.plan.subjects.iter().zip(outcomes) {
                if outcome.is_wrong() {
                    findings.push(Finding::of(row.name, subject, outcome));
                }
            }
        }
        for (scoring, entries) in self.plan.mistakes.iter().zip(&self.mistakes) {
            for (subject, scored) in self.plan.subjects.iter().zip(entries) {
                let name = |twin| mistake_name(scoring.mistake, scoring.size, twin);
                if let Some(score) = &scored.score
                    && must_report(subject, scoring.mistake)
                    && score.end != End::Reported
                {
                    findings.push(Finding {
                        row: name(false),
                        subject: subject.name.clone(),
                        detail: format!("expected a report; {}", told(score)),
                    });
                }
                if let Some(twin) = scored.twin.as_ref().filter(|twin| twin.is_wrong()) {
                    findings.push(Finding::of(&name(true), subject, twin));
                }
            }
        }
        findings
    }

    /// Rows that could not be checked here, with why.
    pub fn untold(&self) -> Vec<(&'static str, &str)> {
        let rows = self.plan.rows.iter().zip(&self.rows);
        let untold = rows.flat_map(|(row, outcomes)| {
            outcomes.iter().filter_map(|outcome| match outcome {
                Outcome::Said(Verdict::CannotTell { why }) => Some((row.name, why.as_str())),
                _ => None,
            })
        });
        untold.collect()
    }
}

impl Finding {
    fn of(row: &str, subject: &Subject, outcome: &Outcome) -> Finding {
        let (row, subject) = (row.to_owned(), subject.name.clone());
        Finding { row, subject, detail: outcome.detail().unwrap_or_default() }
    }
}

/// What was seen of a mistake, in a sentence.
pub fn told(score: &Score) -> String {
    let message = score.message.as_ref();
    let message = message.map_or(String::new(), |line| format!("; it printed: {line}"));
    format!("{}, {}{message}", score.end.name(), score.how)
}

/// Whether the subject has promised to report this mistake.
fn must_report(subject: &Subject, mistake: Mistake) -> bool {
    match mistake.kind() {
        Kind::DoubleFree | Kind::InvalidFree => subject.promises_reports(),
        Kind::Write => mistake == Mistake::WriteAfterFree && subject.promises_write_reports(),
        Kind::SizeMismatch => false,
    }
}
