//! `cargo stress refuse` as its user meets it: planted faults that show only when the OS refuses.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_stress"));
    tool.args(arguments).env_remove("NO_COLOR").output().expect("the tool starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the tool prints UTF-8")
}

/// The row of the one subject that was refused its calls.
fn refuse(code: i32, subject: &str, findings: &Path, more: &[&str]) -> Value {
    let arguments = ["refuse", "--subject", subject, "--threads", "3", "--format", "json"];
    let output = run(&[&arguments[..], &["--findings", findings.to_str().unwrap()], more].concat());
    let said = || format!("{}{}", text(&output.stderr), text(&output.stdout));
    assert_eq!(output.status.code(), Some(code), "{}", said());
    let report: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    assert_eq!(report["format"], "drystone-stress-refuse");
    report["subjects"][0].clone()
}

/// Compiles the allocator of `pages.c` with a fault.
fn faulty(folder: &Path, flag: &str) -> String {
    let library = folder.join("faulty.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pages.c");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-fno-builtin", flag, "-o"])
        .args([&library, &PathBuf::from(source)])
        .status()
        .expect("cc runs");
    assert!(status.success(), "cc failed");
    library.to_str().unwrap().to_owned()
}

#[test]
fn linked_subjects_bear_every_refusal() {
    let place = tempfile::tempdir().unwrap();
    for subject in ["list", "engine"] {
        let row = refuse(0, subject, place.path(), &["--for", "2s"]);
        assert_eq!(row["by"], "its own OS");
        assert_eq!(row["all"], true, "{row}");
        // By the seed it is ten to seventy.
        assert!(row["in_turn"].as_u64() >= Some(4), "{row}");
        assert!(row["by_chance_calls"].as_u64() > Some(0), "{row}");
        assert!(row["limit_nulls"].as_u64() > Some(0), "{row}");
    }
}

#[test]
fn what_is_not_linked_is_refused_by_the_kernel() {
    let place = tempfile::tempdir().unwrap();
    for subject in ["system", "drystone"] {
        let row = refuse(0, subject, place.path(), &["--for", "2s"]);
        assert_eq!(row["by"], "seccomp");
        assert_eq!(row["all"], true, "{row}");
        assert!(row["in_turn"].as_u64() >= Some(10), "{row}");
        assert!(row["by_chance_calls"].as_u64() > Some(0), "{row}");
    }
    // An allocator that maps every block is answered by null for most of its calls.
    let pages = faulty(place.path(), "-DSOUND");
    let row = refuse(0, &pages, place.path(), &["--for", "1s", "--last", "12"]);
    assert_eq!((&row["in_turn"], &row["all"]), (&12.into(), &false.into()), "{row}");
    assert!(row["ended_in_null"].as_u64() > Some(4), "{row}");
    assert!(row["by_chance_nulls"].as_u64() > Some(0), "{row}");
}

#[test]
fn what_refusals_break_is_found() {
    for (flag, expected) in [
        ("-DREFUSED_CRASH", &["crash"][..]),
        ("-DREFUSED_LOSES", &["crash", "identity", "overlap"]),
        ("-DREFUSED_FOREVER", &["unprovoked-null"]),
    ] {
        let place = tempfile::tempdir().unwrap();
        let subject = faulty(place.path(), flag);
        let findings = place.path().join("findings");
        let row = refuse(1, &subject, &findings, &["--for", "1s", "--last", "60"]);
        let finding = &row["findings"][0];
        let kind = finding["kind"].as_str().unwrap();
        assert!(expected.contains(&kind), "{flag}: {finding}");
        // The folder makes it again, with the same call refused.
        let folder = finding["folder"].as_str().unwrap();
        let output = run(&["replay", folder, "--times", "2", "--format", "json"]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let replayed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(replayed["attempts"][0]["again"], 2, "{flag}: {replayed}");
    }
}

#[test]
fn what_each_refusal_loses_is_found() {
    let place = tempfile::tempdir().unwrap();
    let subject = faulty(place.path(), "-DREFUSED_LEAKS");
    let row = refuse(1, &subject, place.path(), &["--for", "3s", "--last", "1"]);
    assert_eq!(row["findings"][0]["kind"], "leak", "{row}");
    assert!(row["findings"][0]["refused"].as_str().unwrap().contains("one call in 10"), "{row}");
    // What was seen up to then is told with it.
    assert!(row["by_chance_calls"].as_u64() > Some(0), "{row}");
    // One that loses nothing but what munmap was refused for has no leak.
    let subject = faulty(place.path(), "-DSOUND");
    let row = refuse(0, &subject, place.path(), &["--for", "3s", "--last", "1"]);
    assert!(row["by_chance_calls"].as_u64() > Some(100), "{row}");
    assert_eq!(row["findings"].as_array().unwrap().len(), 0, "{row}");
}

#[test]
fn a_child_that_dies_before_anything_is_armed_is_a_crash() {
    let place = tempfile::tempdir().unwrap();
    // It has said where its socket is, and not sent its listener.
    let subject = faulty(place.path(), "-DBREAKS_DOWN");
    let row = refuse(1, &subject, place.path(), &["--for", "1s", "--call", "1"]);
    assert_eq!(row["findings"][0]["kind"], "crash", "{row}");
    assert!(row["findings"][0]["seen"].as_str().unwrap().contains("SIGABRT"), "{row}");
}

#[test]
fn a_call_that_is_never_made_is_no_success() {
    let place = tempfile::tempdir().unwrap();
    let row = refuse(3, "list", place.path(), &["--call", "1000000"]);
    let why = row["cannot_tell"][0].as_str().unwrap();
    assert!(why.contains("call 1000000 was never made"), "{row}");
    assert_eq!((&row["in_turn"], &row["by_chance_calls"]), (&0.into(), &Value::Null), "{row}");
    // One in a million is none of the few that a second brings.
    let row =
        refuse(3, "list", place.path(), &["--last", "1", "--for", "1s", "--one-in", "1000000000"]);
    assert!(row["cannot_tell"][0].as_str().unwrap().contains("by chance: none of"), "{row}");
    assert!(row["limit_nulls"].as_u64() > Some(0), "{row}");
}

#[test]
fn a_mistyped_subject_is_refused_with_the_nearest() {
    let output = run(&["refuse", "--subject", "lits"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("Did you mean `list`?"), "{}", text(&output.stderr));
}
