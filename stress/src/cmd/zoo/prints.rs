//! Snapshots of everything that is printed. `SNAPSHOTS=overwrite cargo test` rewrites them.

use std::time::Duration;

use drystone_harness::fixtures;
use drystone_harness::output::table::Shape;
use snapbox::{assert_data_eq, file};

use super::faults::Fault;
use super::hunt::Caught;
use super::options::Options;
use super::results::{Clean, Hunted, Made, Results};
use super::{json, table};

fn fault(name: &str, shows: bool) -> Fault {
    Fault {
        name: name.to_owned(),
        layer: "slab".to_owned(),
        breaks: format!("one | two, of {name}"),
        detector: "mixed".to_owned(),
        named: Vec::new(),
        real: None,
        shows,
        by_conform: false,
        patch: None,
        number: 1,
    }
}

fn found(by: &str, seconds: f64, replays: Option<bool>) -> Caught {
    let (by, kind) = (Some(by.to_owned()), "overlap".to_owned());
    Caught { by, kind, took: Duration::from_secs_f64(seconds), named: replays.is_some(), replays }
}

fn missed() -> Caught {
    let took = Duration::from_secs(60);
    Caught { by: None, kind: String::new(), took, named: false, replays: None }
}

/// Found and missed, in one hunt of two and in both; what need not show, hunted and not.
fn everything(faults: &[Fault; 5]) -> Vec<Hunted<'_>> {
    let [twice, once, never, hidden, idle] = faults;
    vec![
        (twice, vec![found("mixed", 1.25, Some(true)), found("drain", 2.5, Some(false))]),
        (once, vec![missed(), found("conform", 61.0, None)]),
        (never, vec![missed(), missed()]),
        (hidden, vec![missed(), missed()]),
        (idle, Vec::new()),
    ]
}

/// What `shown` makes of all that, and of a clean build.
fn shown(clean: Clean, shown: impl FnOnce(&Results<'_>) -> String) -> String {
    let shows = [true, true, true, false, false];
    let names = ["twice", "once", "never", "hidden", "idle"];
    let faults = [0, 1, 2, 3, 4].map(|at| fault(names[at], shows[at]));
    let options: Options = fixtures::options(&["--all", "--seeds", "2"]).unwrap();
    let made = Made { cores: 2, processor: "a processor".into(), date: "2026-01-02".into() };
    let caught = everything(&faults);
    shown(&Results { caught: &caught, clean, options: &options, made })
}

#[test]
fn the_report_in_three_formats() {
    let nothing = || Clean::NothingIn(Duration::from_secs(90));
    let of = |shape, colored| shown(nothing(), |results| table::report(results, shape, colored));
    assert_data_eq!(of(Shape::Table, false), file!["snapshots/table.txt"].raw());
    assert_data_eq!(of(Shape::Markdown, false), file!["snapshots/markdown.md"].raw());
    assert_data_eq!(shown(nothing(), json::report), file!["snapshots/json.json"].raw());
    let colored = of(Shape::Table, true);
    assert!(colored.contains("\u{1b}[38;5;9m nobody"), "{colored:?}");
}

#[test]
fn a_false_finding_and_an_early_end_are_said_in_each() {
    let is_false = || Clean::Finding(found("mixed", 3.0, None));
    let of = |clean, shape| shown(clean, |results| table::report(results, shape, false));
    let unwrapped = |text: String| text.replace('\n', " ");
    let said = "The clean build gave a false finding: overlap by mixed after 3.0 s.";
    assert!(unwrapped(of(is_false(), Shape::Markdown)).contains(&format!("**{said}**")));
    let table = unwrapped(of(is_false(), Shape::Table));
    assert!(table.contains(said) && !table.contains("**"), "{table}");
    let report =
        |clean| -> serde_json::Value { serde_json::from_str(&shown(clean, json::report)).unwrap() };
    assert_eq!(report(is_false())["clean"]["finding"]["found_by"], "mixed");
    let early = report(Clean::NotRun);
    assert_eq!((&early["interrupted"], &early["clean"]), (&true.into(), &().into()));
}
