//! Snapshots of everything that is printed. `SNAPSHOTS=overwrite cargo test` rewrites them.

use std::path::PathBuf;

use drystone_harness::allocators::Allocator;
use drystone_harness::bounds::Bound;
use drystone_harness::output::table::Shape;
use snapbox::{assert_data_eq, file};

use crate::bench::bounds::judge;
use crate::bench::campaign::Results;
use crate::bench::fixtures::{fail, move_away, results};
use crate::bench::instructions::Count;
use crate::bench::launch::Failure;
use crate::bench::print::{json, looks, table};

/// A bound of every verdict, a failure, rows that are not judged for either reason.
fn everything() -> (Results, Vec<Bound>) {
    let mut results = results(9.5, &[("system", 20.0), ("mimalloc", 10.0), ("scudo", 12.0)]);
    fail(&mut results, 1, 3);
    for (round, sample) in &mut results.rows[2].twin.samples {
        sample.nanoseconds *= 1.0 + 0.1 * f64::from(*round);
    }
    move_away(&mut results.rows[1].entries[1], 3.0);
    results.rows[1].repeats = 2;
    let bounds = judge(&results);
    (results, bounds)
}

fn shown(results: &Results, bounds: &[Bound], shape: Shape, colored: bool) -> String {
    let looks = looks::tables(results, shape, colored);
    table::results(results, bounds, &looks, shape, colored)
}

fn counted() -> Vec<Count> {
    let count = |name: &str, instructions: Option<f64>, failure: Option<&str>| Count {
        allocator: Allocator {
            name: name.to_owned(),
            library: Some(PathBuf::from("/lib/some.so")),
            version: "1.0".to_owned(),
        },
        instructions: Vec::from_iter(instructions.map(|counted| ("malloc/32", counted))),
        failure: failure
            .map(|detail| Failure { short: "SIGILL".to_owned(), detail: detail.to_owned() }),
    };
    vec![
        count("drystone", Some(62.0), None),
        count("scudo", None, Some("killed by SIGILL; it printed:\nmuch")),
    ]
}

#[test]
fn tables() {
    let (results, bounds) = everything();
    let text = shown(&results, &bounds, Shape::Table, false);
    assert_data_eq!(text.clone(), file!["snapshots/table.txt"]);
    assert_ne!(shown(&results, &bounds, Shape::Table, true), text);
}

#[test]
fn markdown_for_a_pull_request() {
    let (results, bounds) = everything();
    let text = shown(&results, &bounds, Shape::Markdown, false);
    assert_data_eq!(text, file!["snapshots/markdown.md"]);
}

#[test]
fn json_for_programs() {
    let (mut results, bounds) = everything();
    results.rows.truncate(1);
    results.plan.rows.truncate(1);
    assert_data_eq!(json::results(&results, &bounds[..1]), file!["snapshots/json.json": Text]);
}

#[test]
fn instructions() {
    let text = table::counts(&counted(), Shape::Table, false);
    assert_data_eq!(text + &json::counts(&counted()), file!["snapshots/instructions.txt"]);
}
