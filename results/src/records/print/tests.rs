//! Snapshots of everything that is printed. `SNAPSHOTS=overwrite cargo test` rewrites them.

use snapbox::{assert_data_eq, file, str};

use super::{json, markdown, table};
use crate::records::judge::Comparison;
use crate::records::judge::fixtures::comparison;

const STEADY: [f64; 5] = [100.0, 101.0, 99.0, 100.5, 99.5];

/// One row of every verdict that five processes can have, and notes.
fn every_verdict() -> Comparison {
    let times = |factor: f64| STEADY.map(|time| time * factor);
    let wild = [50.0, 200.0, 100.0, 70.0, 150.0];
    let mut comparison = comparison(&[
        ("pair/list/16", &STEADY, &times(1.003)),
        ("pair/system/16", &times(0.041), &times(0.05)),
        ("ring/list/4096", &times(123.4), &times(100.0)),
        ("ring/list/64", &times(1e5), &wild.map(|time| time * 1e5)),
        ("bulk/list/lifo", &STEADY, &[]),
        ("bulk/list/fifo", &[], &STEADY),
        ("bulk/list/random", &STEADY, &STEADY[..2]),
    ]);
    comparison.b.record.dirty = true;
    comparison.notes = vec!["B is of a tree with changes that were not committed.".to_owned()];
    comparison
}

#[test]
fn a_table() {
    assert_data_eq!(table(&every_verdict(), false), file!["snapshots/table.txt"]);
}

#[test]
fn a_table_in_colour() {
    let coloured = table(&every_verdict(), true);
    assert_data_eq!(coloured.clone(), file!["snapshots/colour.txt"]);
    let plain = table(&every_verdict(), false);
    assert_ne!(coloured, plain);
}

#[test]
fn markdown_for_a_pull_request() {
    assert_data_eq!(markdown(&every_verdict()), file!["snapshots/markdown.md"]);
}

#[test]
fn names_are_no_markup() {
    let mut comparison = comparison(&[("a|b/c/d", &STEADY, &STEADY)]);
    comparison.a.name = "my_*branch*".to_owned();
    let text = markdown(&comparison);
    assert!(text.contains("my\\_\\*branch\\*") && text.contains("`a\\|b/c/d`"), "{text}");
}

#[test]
fn json_for_programs() {
    let comparison = every_verdict();
    let code = comparison.exit_code(false);
    assert_data_eq!(json(&comparison, code), file!["snapshots/json.json": Text]);
}

/// What a comparison of single processes says.
#[test]
fn a_table_without_intervals() {
    let comparison = comparison(&[("pair/list/16", &[100.0], &[200.0])]);
    assert_data_eq!(
        table(&comparison, false),
        str![[r#"
A: main (a1a2a3a4a5a6), 1 process, 2026-01-02T03:05:06Z
B: faster-free (b1b2b3b4b5b6), 1 process, 2026-01-02T03:05:06Z

 benchmark            A         B    change  interval  detectable  processes  verdict
 pair/list/16  100.0 ns  200.0 ns  +100.0 %         -           -        1/1  no interval

1 benchmark: 1 no interval (threshold 5 %).
No interval for 1 benchmark: 1 process per side, at least 4 needed (--runs).

"#]]
    );
}
