//! A campaign: the plan's runs, one after the other. No run's end is the campaign's.

use std::time::Instant;

use drystone_checker::counters::Count;
use drystone_checker::violation::Kind;
use drystone_harness::stop::Stop;
use drystone_harness::text::units;

use crate::model::outcome::Outcome;
use crate::model::runs::{Plan, Results};
use crate::model::spec::Spec;
use crate::model::suppressions::Suppression;
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
        let suppressing = Spec { suppressions: found_already(spec, &outcomes), ..spec.clone() };
        let outcome = episodes.run(&suppressing, stop, &mut |counters, usage, elapsed| {
            bar.tick(counters, usage, elapsed);
            if let Some(sample) = watcher.look(counters, usage, elapsed) {
                record.write(&Line::Sample { run: number, sample });
            }
        });
        match outcome {
            Ok(mut outcome) => {
                outcome.spec = spec.clone();
                judge_growth(&mut outcome, &watcher, episodes);
                let line = Line::End { run: number, outcome: Box::new(outcome.clone()) };
                record.write(&line);
                bar.found(outcome.findings().count());
                bar.say(&summary(&outcome));
                if let Some(why) = &outcome.not_kept {
                    fail(&mut failures, &mut record, Some(number), format!("{spec}: {why}"));
                }
                // One that was stopped before it began is no failure, if others did work.
                if !outcome.worked() && !stop.is_set() {
                    let why = format!("{spec}: the run did no work");
                    fail(&mut failures, &mut record, Some(number), why);
                }
                interrupted |= outcome.cut_short;
                let ends = episodes.first_only && outcome.finding.is_some();
                outcomes.push(outcome);
                if ends {
                    break;
                }
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

/// What a run is to suppress: what it was told to, and what earlier runs of its allocator have
/// found that leaves a run what it was. So one fault is one finding, and each run looks for others.
fn found_already(spec: &Spec, outcomes: &[Outcome]) -> Vec<Suppression> {
    let own = outcomes.iter().filter(|outcome| outcome.spec.allocator == spec.allocator);
    let found = own.flat_map(Outcome::findings);
    let found =
        found.filter_map(|finding| Suppression::of_found(finding.kind, finding.doing.as_deref()?));
    spec.suppressions.iter().cloned().chain(found).collect()
}

fn fail(failures: &mut Vec<String>, record: &mut Writer, run: Option<usize>, why: String) {
    record.write(&Line::Failed { run, why: why.clone() });
    failures.push(why);
}

/// Adds a finding if the run's memory grew.
fn judge_growth(outcome: &mut Outcome, watcher: &Watcher, episodes: &Episodes) {
    if outcome.findings().all(|finding| finding.kind != Kind::Growth)
        && let Some(growth) = watcher.growth(episodes.growth_after)
    {
        let finding = growth.finding(&outcome.spec, outcome.elapsed);
        episodes.keep_of_run(outcome, finding);
    }
}

/// One line about a run that has ended.
fn summary(outcome: &Outcome) -> String {
    let found = match &outcome.finding {
        Some(_) => {
            let kinds: Vec<String> = outcome.findings().map(|one| one.kind.to_string()).collect();
            format!("found: {}", kinds.join(", "))
        }
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
