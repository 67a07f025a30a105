//! Snapshots of everything that is printed. `SNAPSHOTS=overwrite cargo test` rewrites them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use snapbox::{assert_data_eq, file};

use drystone_harness::process::resources::Resources;

use super::*;
use crate::programs::catalogue::{PLAIN, Program};
use crate::programs::cli::Plan;
use crate::programs::judge::Kind;

static PROGRAMS: [Program; 6] = [
    Program { name: "git", ..PLAIN },
    Program { name: "lua", ..PLAIN },
    Program { name: "python-fork", long: true, ..PLAIN },
    Program { name: "node", ..PLAIN },
    Program { name: "perl", ..PLAIN },
    Program { name: "xz", ..PLAIN },
];

fn allocator(name: &str, library: Option<&str>) -> Allocator {
    let library = library.map(PathBuf::from);
    Allocator { name: name.to_owned(), library, version: "1.0".to_owned() }
}

fn used(cpu: f64, peak: u64) -> Resources {
    Resources { cpu, wall: 2.0 * cpu, peak }
}

fn entry(calls: u64, rounds: &[(Resources, Resources)]) -> Entry {
    let account = Account {
        calls: BTreeMap::from([("git".to_owned(), calls), ("sh".to_owned(), 12)]),
        processes: 3,
        wrong: Vec::new(),
    };
    Entry { account, calls, rounds: rounds.to_vec(), ..Entry::default() }
}

fn found(kind: Kind, detail: &str) -> Entry {
    let finding = Some(Finding { kind, detail: detail.to_owned() });
    Entry { finding, ..entry(1_234_567, &[]) }
}

fn flaky(mut entry: Entry) -> Entry {
    entry.flaky = BTreeSet::from(["test_a (b.C)".to_owned()]);
    entry
}

fn ran(entries: impl Into<Vec<Entry>>) -> Row {
    Row { entries: entries.into(), ..Row::default() }
}

/// Every verdict; a program that can't be seen to use memory, that is not measured, that is not
/// here, that fails by itself, that was not begun.
fn everything() -> Results {
    let rounds = [
        (used(2.0, 20_480), used(2.5, 20_480)),
        (used(2.1, 20_400), used(2.1, 30_600)),
        (used(1.9, 20_500), used(3.8, 41_000)),
    ];
    let small = [(used(0.25, 4_000), used(0.5, 4_000))];
    let missing = Some("node is not here: apt-get install nodejs".to_owned());
    let failure = Some("perl x.pl: exit status 2 without any allocator: no x".to_owned());
    Results {
        plan: Plan {
            programs: PROGRAMS.iter().collect(),
            allocators: vec![
                allocator("drystone", Some("/lib/d.so")),
                allocator("other", Some("/o.so")),
            ],
            rounds: 3,
            quick: false,
            calls: 100_000,
            jobs: 2,
            deadline: Duration::from_secs(300),
        },
        rows: vec![
            ran([entry(1_234_567, &rounds), found(Kind::Fails, "git gc: killed by SIGSEGV")]),
            ran([entry(200_000, &small), found(Kind::NotServed, "12 calls of lua, 100,000 must")]),
            ran([flaky(entry(300_000, &[])), flaky(found(Kind::Flaky, "fails at first: test_a"))]),
            Row { missing, ..Row::default() },
            Row { failure, ..Row::default() },
            ran([]),
        ],
        floor: 5_000,
        elapsed: Duration::from_secs(90),
        interrupted: true,
    }
}

#[test]
fn tables() {
    let results = everything();
    let text = table(&results, Shape::Table, false);
    assert_data_eq!(text.clone(), file!["snapshots/table.txt"]);
    assert_ne!(table(&results, Shape::Table, true), text);
}

#[test]
fn markdown_for_a_pull_request() {
    assert_data_eq!(table(&everything(), Shape::Markdown, false), file!["snapshots/markdown.md"]);
}

#[test]
fn json_for_programs() {
    assert_data_eq!(json(&everything()), file!["snapshots/json.json": Text]);
}
