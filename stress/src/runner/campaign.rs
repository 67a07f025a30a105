//! A campaign: the plan's runs, one after the other. No run's end is the campaign's.

use std::time::Instant;

use drystone_checker::counters::Count;
use drystone_harness::stop::Stop;
use drystone_harness::text::units;

use crate::model::outcome::Outcome;
use crate::model::runs::{Plan, Results};
use crate::runner::episode::Episodes;
use crate::runner::growth::Watcher;
use crate::runner::progress::Bar;
use crate::runner::record::{Line, Writer};

/// Makes all runs of the plan, unless stopped, and writes to `record` what is done when it is done.
pub fn run(plan: Plan, episodes: &Episodes, stop: &Stop, bar: &Bar, mut record: Writer) -> Results {
    let began = Instant::now();
    let (mut outcomes, mut failures) = (Vec::new(), Vec::new());
    let mut interrupted = false;
    for (number, spec) in plan.runs.iter().enumerate() {
        if stop.is_set() {
            interrupted = true;
            break;
        }
        bar.run(spec);
        let mut watcher = Watcher::new(spec.length.time().unwrap_or_default());
        let outcome = episodes.run(spec, stop, &mut |counters, usage, elapsed| {
            bar.tick(counters, elapsed);
            if let Some(sample) = watcher.look(counters, usage, elapsed) {
                record.write(&Line::Sample { run: number, sample });
            }
        });
        match outcome {
            Ok(mut outcome) => {
                judge_growth(&mut outcome, &watcher, episodes);
                let line = Line::End { run: number, outcome: Box::new(outcome.clone()) };
                record.write(&line);
                bar.say(&summary(&outcome));
                if let Some(why) = &outcome.not_kept {
                    fail(&mut failures, &mut record, Some(number), format!("{spec}: {why}"));
                }
                // One that was stopped before it began is no failure, if others did work.
                if !outcome.worked() && !stop.is_set() {
                    fail(
                        &mut failures,
                        &mut record,
                        Some(number),
                        format!("{spec}: the run did no work"),
                    );
                }
                interrupted |= outcome.cut_short;
                outcomes.push(outcome);
            }
            Err(error) => {
                fail(&mut failures, &mut record, Some(number), format!("{spec}: {error:#}"))
            }
        }
    }
    if !interrupted && failures.is_empty() && !outcomes.iter().any(Outcome::worked) {
        fail(
            &mut failures,
            &mut record,
            None,
            "no run did any work, so nothing is known".to_owned(),
        );
    }
    bar.done();
    let elapsed = began.elapsed();
    record.write(&Line::Done { interrupted, seconds: elapsed.as_secs_f64() });
    failures.extend(record.finish());
    Results { plan, outcomes, failures, interrupted, elapsed }
}

fn fail(failures: &mut Vec<String>, record: &mut Writer, run: Option<usize>, why: String) {
    record.write(&Line::Failed { run, why: why.clone() });
    failures.push(why);
}

/// Adds a finding if the run's memory grew.
fn judge_growth(outcome: &mut Outcome, watcher: &Watcher, episodes: &Episodes) {
    if outcome.finding.is_none()
        && let Some(growth) = watcher.growth(episodes.growth_after)
    {
        let finding = growth.finding(&outcome.spec, outcome.elapsed);
        episodes.keep_of_run(outcome, finding);
    }
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
        units::count(outcome.counters[Count::Operations]),
        units::bytes(outcome.counters[Count::BytesVerified])
    )
}
