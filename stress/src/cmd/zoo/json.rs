//! What came of the hunts, for a program: `docs/zoo.md` has the fields. What is added later leaves
//! the version, what changes its meaning raises it.

use std::time::Duration;

use drystone_harness::output;
use drystone_harness::seed::Seed;
use serde::Serialize;

use crate::cmd::zoo::hunt::Caught;
use crate::cmd::zoo::results::{Clean, Hunted, Made, Results, Summary, seconds};

#[derive(Serialize)]
struct Report<'r> {
    format: &'static str,
    version: u32,
    seed: Seed,
    seeds: u64,
    #[serde(rename = "seconds_each", serialize_with = "seconds")]
    time: Duration,
    all: bool,
    quick: bool,
    interrupted: bool,
    made: &'r Made,
    summary: Summary,
    faults: Vec<OfFault<'r>>,
    clean: Option<OfClean<'r>>,
}

#[derive(Serialize)]
struct OfFault<'r> {
    fault: &'r str,
    layer: &'r str,
    breaks: &'r str,
    shows: bool,
    hunts: Vec<Hunt<'r>>,
}

#[derive(Serialize)]
struct Hunt<'r> {
    found_by: Option<&'r str>,
    kind: Option<&'r str>,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    took: Duration,
    named: bool,
    replays: Option<bool>,
}

/// The clean build: what it should not have found.
#[derive(Serialize)]
struct OfClean<'r> {
    #[serde(rename = "seconds", serialize_with = "seconds")]
    took: Duration,
    finding: Option<Hunt<'r>>,
}

/// All of it.
pub(super) fn report(results: &Results<'_>) -> String {
    let options = results.options;
    output::json(&Report {
        format: "drystone-zoo-report",
        version: 1,
        seed: options.seed,
        seeds: options.seeds,
        time: options.time,
        all: options.all,
        quick: options.quick,
        interrupted: results.interrupted(),
        made: &results.made,
        summary: results.summary(),
        faults: results.caught.iter().map(of_fault).collect(),
        clean: match &results.clean {
            Clean::NotRun => None,
            Clean::NothingIn(time) => Some(OfClean { took: *time, finding: None }),
            Clean::Finding(one) => Some(OfClean { took: one.took, finding: Some(hunt(one)) }),
        },
    })
}

fn of_fault<'r>((fault, times): &'r Hunted<'_>) -> OfFault<'r> {
    OfFault {
        fault: &fault.name,
        layer: &fault.layer,
        breaks: &fault.breaks,
        shows: fault.shows,
        hunts: times.iter().map(hunt).collect(),
    }
}

fn hunt(one: &Caught) -> Hunt<'_> {
    Hunt {
        found_by: one.by.as_deref(),
        kind: one.by.is_some().then_some(one.kind.as_str()),
        took: one.took,
        named: one.named,
        replays: one.replays,
    }
}
