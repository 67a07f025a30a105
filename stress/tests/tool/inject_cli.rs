//! `cargo stress inject` as its user meets it: planted faults that show only when the OS fails.

use std::path::Path;

use crate::support::{PLAIN, faulty, json};
use serde_json::Value;

/// The row of the one allocator whose calls failed.
fn inject(code: i32, allocator: &str, findings: &Path, more: &[&str]) -> Value {
    let arguments = ["inject", "--allocator", allocator, "--threads", "3", "--format", "json"];
    let output =
        PLAIN.run(&[&arguments[..], &["--findings", findings.to_str().unwrap()], more].concat());
    let report = json(&output, code);
    assert_eq!(report["format"], "drystone-stress-inject");
    report["allocators"][0].clone()
}

/// Each with its way of failing, and how many calls fail in turn at the least.
const LINKED: [(&str, &str, u64); 2] =
    [("linked:list", "its own OS", 4), ("linked:engine", "its own OS", 4)];
const FILTERED: [(&str, &str, u64); 2] =
    [("system", "seccomp", 10), ("linked:drystone", "seccomp", 10)];

/// The row of an allocator that must bear every failure.
#[track_caller]
fn borne((allocator, by, calls): (&str, &str, u64), findings: &Path, more: &[&str]) -> Value {
    let row = inject(0, allocator, findings, &[&["--for", "2s"], more].concat());
    assert_eq!(row["by"], by);
    assert!(row["in_turn"].as_u64() >= Some(calls), "{row}");
    assert!(row["by_chance_calls"].as_u64() > Some(0), "{row}");
    row
}

/// Ten to seventy calls of the linked ones, by the seed, and a process for each.
#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn every_call_may_fail_in_turn() {
    let place = tempfile::tempdir().unwrap();
    for allocator in LINKED.into_iter().chain(FILTERED) {
        let row = borne(allocator, place.path(), &[]);
        assert_eq!(row["all"], true, "{row}");
    }
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn linked_allocators_bear_their_first_failures() {
    let place = tempfile::tempdir().unwrap();
    for allocator in LINKED {
        let row = borne(allocator, place.path(), &["--last", "6"]);
        assert!(row["limit_nulls"].as_u64() > Some(0), "{row}");
    }
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn what_is_not_linked_gets_failures_from_the_kernel() {
    let place = tempfile::tempdir().unwrap();
    for allocator in FILTERED {
        borne(allocator, place.path(), &["--last", "12"]);
    }
    // An allocator that maps every block is answered by null for most of its calls.
    let pages = faulty(place.path(), "-DSOUND");
    let row = inject(0, &pages, place.path(), &["--for", "1s", "--last", "12"]);
    assert_eq!((&row["in_turn"], &row["all"]), (&12.into(), &false.into()), "{row}");
    assert!(row["ended_in_null"].as_u64() > Some(4), "{row}");
    assert!(row["by_chance_nulls"].as_u64() > Some(0), "{row}");
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn what_failures_break_is_found() {
    for (flag, expected) in [
        ("-DFAILED_CRASH", &["crash"][..]),
        ("-DFAILED_LOSES", &["crash", "identity", "overlap"]),
        ("-DFAILED_FOREVER", &["unprovoked-null"]),
    ] {
        let place = tempfile::tempdir().unwrap();
        let allocator = faulty(place.path(), flag);
        let findings = place.path().join("findings");
        let row = inject(1, &allocator, &findings, &["--for", "1s", "--last", "60"]);
        let finding = &row["findings"][0];
        let kind = finding["kind"].as_str().unwrap();
        assert!(expected.contains(&kind), "{flag}: {finding}");
        // The folder makes it again, with the same failing call.
        let folder = finding["folder"].as_str().unwrap();
        let output = PLAIN.run(&["replay", folder, "--times", "2", "--format", "json"]);
        let replayed = json(&output, 1);
        assert_eq!(replayed["attempts"][0]["again"], 2, "{flag}: {replayed}");
    }
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn what_each_failure_loses_is_found() {
    let place = tempfile::tempdir().unwrap();
    let allocator = faulty(place.path(), "-DFAILED_LEAKS");
    let row = inject(1, &allocator, place.path(), &["--for", "3s", "--last", "1"]);
    assert_eq!(row["findings"][0]["kind"], "leak", "{row}");
    assert!(row["findings"][0]["injected"].as_str().unwrap().contains("one call in 10"), "{row}");
    // What was seen up to then is told with it.
    assert!(row["by_chance_calls"].as_u64() > Some(0), "{row}");
    // One that loses nothing but what munmap failed for has no leak.
    let allocator = faulty(place.path(), "-DSOUND");
    let row = inject(0, &allocator, place.path(), &["--for", "3s", "--last", "1"]);
    assert!(row["by_chance_calls"].as_u64() > Some(100), "{row}");
    assert_eq!(row["findings"].as_array().unwrap().len(), 0, "{row}");
}

#[test]
fn a_child_that_dies_before_anything_is_armed_is_a_crash() {
    let place = tempfile::tempdir().unwrap();
    // It has said where its socket is, and not sent its listener.
    let allocator = faulty(place.path(), "-DBREAKS_DOWN");
    let row = inject(1, &allocator, place.path(), &["--for", "1s", "--call", "1"]);
    assert_eq!(row["findings"][0]["kind"], "crash", "{row}");
    assert!(row["findings"][0]["seen"].as_str().unwrap().contains("SIGABRT"), "{row}");
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn a_call_that_is_never_made_is_no_success() {
    let place = tempfile::tempdir().unwrap();
    let row = inject(3, "linked:list", place.path(), &["--call", "1000000"]);
    let why = row["cannot_tell"][0].as_str().unwrap();
    assert!(why.contains("call 1000000 was never made"), "{row}");
    assert_eq!((&row["in_turn"], &row["by_chance_calls"]), (&0.into(), &Value::Null), "{row}");
    // One in a million is none of the few that a second brings.
    let row = inject(
        3,
        "linked:list",
        place.path(),
        &["--last", "1", "--for", "1s", "--one-in", "1000000000"],
    );
    assert!(row["cannot_tell"][0].as_str().unwrap().contains("by chance: none of"), "{row}");
    assert!(row["limit_nulls"].as_u64() > Some(0), "{row}");
}

#[test]
fn a_mistyped_allocator_is_rejected_with_the_suggested() {
    let said = PLAIN.usage_error(&["inject", "--allocator", "linked:lits"]);
    assert!(said.contains("Did you mean `linked:list`?"), "{said}");
}
