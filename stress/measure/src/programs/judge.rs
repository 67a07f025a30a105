//! What two runs of a program differ in.
//!
//! Python's tests are tried twice (`sources/suite.py`). One that fails at first is compared by its
//! second outcome, and named beside that: see [`flaky`].

use std::borrow::Cow;
use std::collections::BTreeSet;

use drystone_harness::process::launcher::{End, Ended};
use serde::Serialize;

use crate::programs::catalogue::Program;
use crate::programs::stage::Run;

/// Of what a program printed, so much is shown, in characters.
const SHOWN: usize = 300;

/// What is wrong with an allocator under a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// In a table's cell.
    pub kind: Kind,
    /// What was seen.
    pub detail: String,
}

/// How an allocator fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A command ends otherwise than without the allocator.
    Fails,
    /// A command does not end.
    Hangs,
    /// A command says or writes something else.
    Differs,
    /// A test fails at first and not when it is run again, and never without the allocator.
    Flaky,
    /// Fewer calls reached the allocator than must have.
    NotServed,
    /// The allocator itself reports a misuse, or that its heap is not sound; or another served.
    Reports,
}

impl Kind {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Fails => "fails",
            Kind::Hangs => "hangs",
            Kind::Differs => "differs",
            Kind::Flaky => "flaky",
            Kind::NotServed => "not served",
            Kind::Reports => "reports",
        }
    }
}

/// What `run` does otherwise than `reference`, in which every command went well.
pub fn differ(reference: &Run, run: &Run, program: &Program) -> Option<Finding> {
    reference.commands.iter().zip(&run.commands).find_map(|((command, expected), (_, got))| {
        let (kind, detail) = of_command(expected, got, program)?;
        Some(Finding { kind, detail: format!("{command}: {detail}") })
    })
}

/// How `sources/suite.py` says that a test has failed at first, before what it did when it was run
/// again.
const AT_FIRST: &str = " fails once, then ";

/// The tests that failed at first and not when they were run again.
pub fn flaky(run: &Run, program: &Program) -> BTreeSet<String> {
    if !program.retries {
        return BTreeSet::new();
    }
    let outputs = run.commands.iter().map(|(_, ended)| String::from_utf8_lossy(&ended.output));
    let tests = outputs.flat_map(|output| {
        let tests = output.lines().filter_map(|line| line.split_once(AT_FIRST));
        tests.map(|(test, _)| test.trim().to_owned()).collect::<Vec<_>>()
    });
    tests.collect()
}

/// What is compared of standard output: the outcomes that count.
fn counting<'a>(stdout: &'a [u8], program: &Program) -> Cow<'a, [u8]> {
    match (program.retries, std::str::from_utf8(stdout)) {
        (true, Ok(text)) => Cow::Owned(text.replace(AT_FIRST, " ").into_bytes()),
        _ => Cow::Borrowed(stdout),
    }
}

fn of_command(expected: &Ended, got: &Ended, program: &Program) -> Option<(Kind, String)> {
    if got.end != expected.end {
        let kind = if matches!(got.end, End::Hung(_)) { Kind::Hangs } else { Kind::Fails };
        let said = String::from_utf8_lossy(&got.errors);
        let said = match said.trim() {
            "" => "it printed nothing on standard error".to_owned(),
            said => format!("it printed: {}", shown(last(said))),
        };
        return Some((kind, format!("{}; {said}", got.end)));
    }
    let [expected_out, got_out] = [expected, got].map(|one| counting(&one.output, program));
    let places = [
        ("standard output", &*expected_out, &*got_out),
        ("standard error", &expected.errors, &got.errors),
    ];
    places.into_iter().take(if program.stderr { 2 } else { 1 }).find_map(
        |(place, expected, got)| {
            (expected != got).then(|| (Kind::Differs, first_difference(place, expected, got)))
        },
    )
}

/// Names the first line that differs.
pub fn first_difference(place: &str, expected: &[u8], got: &[u8]) -> String {
    let (mut expected, mut got) = (expected.split(|b| *b == b'\n'), got.split(|b| *b == b'\n'));
    let mut number = 1;
    loop {
        match (expected.next(), got.next()) {
            (one, other) if one == other && one.is_some() => number += 1,
            (one, other) => {
                let text = |line: Option<&[u8]>| match line {
                    Some(line) => format!("`{}`", shown(&String::from_utf8_lossy(line))),
                    None => "nothing".to_owned(),
                };
                let (with, without) = (text(other), text(one));
                return format!("line {number} of {place} is {with}, and {without} without it");
            }
        }
    }
}

fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() { cut + "…" } else { cut }
}

/// The last few lines.
fn last(text: &str) -> &str {
    let start = text.rmatch_indices('\n').nth(2).map_or(0, |(place, _)| place + 1);
    &text[start..]
}

#[cfg(test)]
mod tests {
    use drystone_harness::process::resources::Resources;

    use super::*;
    use crate::programs::catalogue::PLAIN;

    fn run(end: End, stdout: &str, stderr: &str) -> Run {
        let (output, errors) = (stdout.into(), stderr.into());
        let ended = Ended { end, output, errors, resources: Resources::default() };
        Run { commands: vec![("cmd -x".to_owned(), ended)] }
    }

    fn well() -> End {
        End::Exited(0)
    }

    #[test]
    fn the_same_is_the_same_and_each_difference_is_named() {
        let reference = run(well(), "a\nb\n", "e\n");
        let found = |run: &Run, stderr| {
            let program = Program { stderr, ..PLAIN };
            differ(&reference, run, &program).map(|finding| (finding.kind, finding.detail))
        };
        assert_eq!(found(&run(well(), "a\nb\n", "e\n"), true), None);
        let other = run(well(), "a\nb\n", "f\n");
        assert_eq!(found(&other, false), None);
        let detail = "cmd -x: line 1 of standard error is `f`, and `e` without it";
        assert_eq!(found(&other, true), Some((Kind::Differs, detail.to_owned())));
        let detail = "cmd -x: line 2 of standard output is `c`, and `b` without it";
        let other = run(well(), "a\nc\n", "e\n");
        assert_eq!(found(&other, true), Some((Kind::Differs, detail.to_owned())));
        let other = run(End::Killed(11), "a\n", "1\n2\n3\n4\n");
        let (kind, detail) = found(&other, true).unwrap();
        assert_eq!(kind, Kind::Fails);
        assert!(detail.contains("SIGSEGV") && detail.ends_with("it printed: 2\n3\n4"), "{detail}");
        assert_eq!(found(&run(End::Hung(1), "", ""), true).unwrap().0, Kind::Hangs);
    }

    #[test]
    fn a_test_that_fails_at_first_is_compared_by_its_second_outcome_and_named() {
        let suite = Program { retries: true, ..PLAIN };
        let reference = run(well(), "test_json 2\n  a (b.C) ok\n  d (b.C) skipped\n", "");
        let once =
            run(well(), "test_json 2\n  a (b.C) fails once, then ok\n  d (b.C) skipped\n", "");
        assert_eq!(differ(&reference, &once, &suite), None);
        assert_eq!(differ(&once, &reference, &suite), None);
        assert_eq!(flaky(&once, &suite), BTreeSet::from(["a (b.C)".to_owned()]));
        assert!(flaky(&reference, &suite).is_empty());
        assert_eq!(differ(&reference, &once, &PLAIN).unwrap().kind, Kind::Differs);
        assert!(flaky(&once, &PLAIN).is_empty());
    }

    #[test]
    fn an_output_cut_short_is_a_difference() {
        let detail = first_difference("standard output", b"a\nb\n", b"a\n");
        assert_eq!(detail, "line 2 of standard output is ``, and `b` without it");
        let detail = first_difference("standard output", b"a", b"a\n");
        assert_eq!(detail, "line 2 of standard output is ``, and nothing without it");
    }
}
