//! Snapshots of everything that is printed. `SNAPSHOTS=overwrite cargo test` rewrites them.

use std::path::PathBuf;
use std::time::Duration;

use drystone_harness::output::table::Shape;
use snapbox::{assert_data_eq, file};

use crate::allocators::Allocator;
use crate::mistake::Mistake;
use crate::misuse::score::{End, Score};
use crate::outcome::{Outcome, Verdict};
use crate::plan::{Plan, Scoring};
use crate::print::{json, table};
use crate::results::{Results, Scored};
use crate::row::{Check, Row};

const fn row(name: &'static str, check: Check) -> Row {
    Row { name, about: "something holds", source: "C23 7.24.3", check }
}

static ROWS: [Row; 4] = [
    row("topic/one", Check::Judged(|_| Ok(()))),
    row("topic/two", Check::Judged(|_| Ok(()))),
    row("topic/three", Check::Judged(|_| Ok(()))),
    row("topic/left-open", Check::Recorded(|_| Ok(String::new()))),
];

fn allocator(name: &str, library: Option<&str>, env: &[(&str, &str)]) -> Allocator {
    Allocator {
        name: name.to_owned(),
        library: library.map(PathBuf::from),
        version: "1.0".to_owned(),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

fn pass() -> Outcome {
    Outcome::Said(Verdict::Pass)
}

fn fail(expected: &str, got: &str) -> Outcome {
    Outcome::Said(Verdict::Fail { expected: expected.to_owned(), got: got.to_owned() })
}

fn does(what: &str) -> Outcome {
    Outcome::Said(Verdict::Behaviour { does: what.to_owned() })
}

fn crash(words: &str) -> Outcome {
    Outcome::Crash { how: "killed by SIGSEGV".to_owned(), words: words.to_owned() }
}

fn scored(end: End, message: Option<&str>, twin: Option<Outcome>) -> Scored {
    let (how, message) = ("killed by SIGABRT".to_owned(), message.map(str::to_owned));
    Scored { score: Some(Score { end, how, message }), twin }
}

/// Every outcome and some ends of mistakes, of an allocator that promises reports and of two that
/// do not.
fn everything() -> Results {
    let mistake = |mistake, size| Scoring { mistake, size, made: true, twin: true };
    let untold = Verdict::CannotTell { why: "no C compiler".to_owned() };
    let missing = Verdict::NotOffered { what: "free_sized".to_owned() };
    let quarantine = [("DRYSTONE_QUARANTINE", "1024"), ("A", "b c")];
    Results {
        plan: Plan {
            allocators: vec![
                allocator("ours", Some("/lib/libdrystone.so"), &quarantine),
                allocator("other", Some("/lib/other.so"), &[]),
                allocator("system", None, &[]),
            ],
            rows: ROWS.iter().collect(),
            mistakes: vec![
                mistake(Mistake::FreeTwice, 8),
                mistake(Mistake::FreeTwice, 4 << 20),
                mistake(Mistake::WriteAfterFree, 4096),
            ],
            deadline: Duration::from_secs(60),
            jobs: 2,
        },
        stillborn: vec![None; 3],
        rows: vec![
            vec![pass(), fail("a block", "null, errno 12"), Outcome::Said(missing)],
            vec![pass(), crash("some\nwords"), Outcome::Said(untold)],
            vec![Outcome::Hang { after: 60 }, does("a null pointer"), Outcome::Stopped],
            vec![does("null"), does("a pointer"), crash("")],
        ],
        mistakes: vec![
            vec![
                scored(End::Reported, Some("double free: 0x10"), Some(pass())),
                scored(End::TwoOwners, None, Some(pass())),
                scored(End::Deferred, Some("double free"), Some(fail("a block", "null"))),
            ],
            vec![
                scored(End::Silent, None, Some(pass())),
                scored(End::Hang, None, None),
                scored(End::SetUp, None, Some(Outcome::Stopped)),
            ],
            vec![
                scored(End::Silent, None, Some(pass())),
                scored(End::NotMade, None, Some(pass())),
                Scored::default(),
            ],
        ],
        interrupted: true,
    }
}

#[test]
fn tables() {
    let results = everything();
    let text = table::results(&results, Shape::Table, false);
    assert_data_eq!(text.clone(), file!["snapshots/table.txt"]);
    assert_ne!(table::results(&results, Shape::Table, true), text);
}

#[test]
fn markdown_for_a_pull_request() {
    let text = table::results(&everything(), Shape::Markdown, false);
    assert_data_eq!(text, file!["snapshots/markdown.md"]);
}

#[test]
fn json_for_programs() {
    assert_data_eq!(json::results(&everything()), file!["snapshots/json.json": Text]);
}
