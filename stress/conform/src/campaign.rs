//! All rows with all allocators, several at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use drystone_harness::process::dlopen_fixture::DlopenFixture;
use drystone_harness::process::launcher::{self, Launcher};
use drystone_harness::stop::Stop;

use crate::allocators::Allocator;
use crate::ending::{self, ChildError, Ending};
use crate::mistake::row_name;
use crate::misuse::score::Score;
use crate::outcome::{Outcome, Verdict};
use crate::plan::{Plan, Scoring};
use crate::protocol::job::{Job, Task};
use crate::results::{Results, Scored};
use crate::row::{Row, SAYS_NOTHING};

/// One task of the campaign.
#[derive(Clone, Copy)]
enum Step {
    Row(usize),
    Mistake(usize),
    Twin(usize),
}

/// Runs the plan; `progress` is called after each row.
///
/// # Errors
/// A child can't be started, or an allocator does not serve it.
pub fn run(
    plan: Plan,
    launcher: &Launcher,
    fixture: Option<&DlopenFixture>,
    stop: &Stop,
    progress: &(dyn Fn(&str, &str) + Sync),
) -> Result<Results, ChildError> {
    let worker = Worker { plan: &plan, launcher, fixture, stop };
    let begun = plan.allocators.iter().map(|allocator| worker.stillborn(allocator));
    let stillborn = begun.collect::<Result<Vec<_>, _>>()?;
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
            if let Err(error) = worker.take(step, allocator, &results, progress) {
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

/// How often `progress` is called when nothing stops the run and every allocator serves: once for
/// each allocator with each row, mistake and twin.
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
        progress: &(dyn Fn(&str, &str) + Sync),
    ) -> Result<(), ChildError> {
        let allocator = &self.plan.allocators[place];
        let locked = || results.lock().expect("no panic");
        match step {
            Step::Row(row) => {
                let Row { name, .. } = self.plan.rows[row];
                let outcome = self.row(allocator, name)?;
                locked().rows[row][place] = outcome;
                progress(name, &allocator.name);
            }
            Step::Mistake(row) => {
                let scoring = self.plan.mistakes[row];
                let score = self.score(allocator, scoring)?;
                locked().mistakes[row][place].score = score;
                progress(&row_name(scoring.mistake, scoring.size, false), &allocator.name);
            }
            Step::Twin(row) => {
                let Scoring { mistake, size, .. } = self.plan.mistakes[row];
                let outcome = self.check(allocator, Task::Mistake { mistake, size, twin: true })?;
                locked().mistakes[row][place].twin = Some(outcome);
                progress(&row_name(mistake, size, true), &allocator.name);
            }
        }
        Ok(())
    }

    fn job(&self, allocator: &Allocator, task: Task) -> Job {
        let fixture = self.fixture.map(DlopenFixture::path);
        Job { task, library: allocator.library.clone(), fixture }
    }

    fn child(&self, allocator: &Allocator, job: &Job) -> Result<Ending, ChildError> {
        ending::run(self.launcher, allocator, job, self.stop)
    }

    /// What comes of a process that only begins, if it does not come so far as to say who serves
    /// it.
    fn stillborn(&self, allocator: &Allocator) -> Result<Option<Outcome>, ChildError> {
        let ending = self.child(allocator, &self.job(allocator, Task::Begin))?;
        let begun = ending.served() || ending.end == launcher::End::Stopped;
        Ok((!begun).then(|| ending.outcome()))
    }

    fn row(&self, allocator: &Allocator, name: &str) -> Result<Outcome, ChildError> {
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

    fn check(&self, allocator: &Allocator, task: Task) -> Result<Outcome, ChildError> {
        Ok(self.child(allocator, &self.job(allocator, task))?.outcome())
    }

    /// The worst of a mistake's repetitions; none if it was stopped.
    fn score(&self, allocator: &Allocator, scoring: Scoring) -> Result<Option<Score>, ChildError> {
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
