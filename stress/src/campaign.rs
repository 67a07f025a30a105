//! A campaign: the plan's runs, one after the other. No run's end is the campaign's.

use std::time::{Duration, Instant};

use crate::cli::Plan;
use crate::episode::Episodes;
use crate::finding::Finding;
use crate::human;
use crate::progress::Bar;
use crate::stop::Stop;
use crate::supervisor::Outcome;
use crate::tally::Count;

/// What became of a campaign.
#[derive(Debug)]
pub struct Results {
    /// The plan.
    pub plan: Plan,
    /// The runs that were made.
    pub outcomes: Vec<Outcome>,
    /// The runs that could not be made, or did nothing: a sentence each.
    pub failures: Vec<String>,
    /// Whether it was stopped from outside before all planned runs had come to their end.
    pub interrupted: bool,
    /// Wall-clock time.
    pub elapsed: Duration,
}

/// Makes all runs of the plan, unless stopped.
pub fn run(plan: Plan, episodes: &Episodes, stop: &Stop, bar: &Bar) -> Results {
    let began = Instant::now();
    let (mut outcomes, mut failures) = (Vec::new(), Vec::new());
    let mut interrupted = false;
    for spec in &plan.runs {
        if stop.is_set() {
            interrupted = true;
            break;
        }
        bar.run(spec);
        match episodes.run(spec, stop, &mut |tally, elapsed| bar.tick(tally, elapsed)) {
            Ok(outcome) => {
                bar.say(&summary(&outcome));
                // One that was stopped before it began is no failure, if others did work.
                if !outcome.worked() && !stop.is_set() {
                    failures.push(format!("{spec}: the run did no work"));
                }
                interrupted |= outcome.cut_short;
                outcomes.push(outcome);
            }
            Err(error) => failures.push(format!("{spec}: {error:#}")),
        }
    }
    if !interrupted && failures.is_empty() && !outcomes.iter().any(Outcome::worked) {
        failures.push("no run did any work, so nothing is known".to_owned());
    }
    bar.done();
    Results { plan, outcomes, failures, interrupted, elapsed: began.elapsed() }
}

/// One line about a run that has ended.
fn summary(outcome: &Outcome) -> String {
    let found = match &outcome.finding {
        Some(finding) => format!("finding: {}", finding.kind),
        None if outcome.cut_short => "stopped, no finding so far".to_owned(),
        None => "no finding".to_owned(),
    };
    format!(
        "{}: {} operations, {} verified, {found}",
        outcome.spec,
        human::count(outcome.tally[Count::Operations]),
        human::bytes(outcome.tally[Count::BytesVerified])
    )
}

impl Results {
    /// Everything that was found.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.outcomes.iter().filter_map(|outcome| outcome.finding.as_ref())
    }
}
