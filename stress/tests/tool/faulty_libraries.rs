//! Faults that can be put round any allocator, here the C library's: the default run of a minute
//! must find each, by a check that names it, and the wrapper without a fault must not be found.
//!
//! Each takes up to a minute:
//! `cargo test -p drystone-stress --test tool faulty_libraries -- --ignored`.

use serde_json::Value;

use crate::support;

/// The fault in `faulty/wrap.c`, and the kinds of findings that name it.
const FAULTS: &[(&str, &[&str])] = &[
    ("OVERLAPS", &["overlap", "identity"]),
    ("DIRTY_CALLOC", &["not-zeroed"]),
    ("MISALIGNS", &["misaligned"]),
    ("LEAKS_FREES", &["not-given-back", "growth"]),
    ("LEAKS_EXITS", &["growth", "not-given-back"]),
    ("LOSES_REMOTE", &["growth", "not-given-back"]),
    ("OVERSTATES", &["overlap"]),
    ("STALLS", &["stall"]),
    ("SPINS", &["stall"]),
    ("CHILD_HANGS", &["hang"]),
    ("KEEPS_ALL", &["not-given-back"]),
    ("CLOBBERS_ERRNO", &["errno"]),
    ("MEMALIGN_WRITES", &["result-on-failure"]),
    ("TRUSTS_SIZES", &["overlap", "identity", "crash", "usable-size"]),
    ("HANGS", &["hang"]),
];

/// A default run of the library with a fault, stopped at the first finding.
fn default_run(fault: &str, code: i32, arguments: &[&str]) -> Value {
    let place = tempfile::tempdir().unwrap();
    let flag = format!("-DFAULT={fault}");
    let name = fault.to_lowercase();
    let library = support::library(place.path(), &name, include_str!("../faulty/wrap.c"), &[&flag]);
    let findings = place.path().join("findings");
    let always = ["--allocator", &library, "--first", "--findings", findings.to_str().unwrap()];
    support::PLAIN.report(code, &[&always, arguments].concat())
}

fn is_found(fault: &str) {
    let (_, kinds) = FAULTS.iter().find(|(name, _)| *name == fault).unwrap();
    let report = default_run(fault, 1, &[]);
    let finding = &report["findings"][0];
    let kind = finding["kind"].as_str().unwrap();
    println!("{fault}: {kind} after {} s: {}", report["seconds"], finding["seen"]);
    assert!(kinds.contains(&kind), "{fault}: {finding}");
    assert!(finding["after_millis"].is_u64(), "a finding says after how long: {finding}");
}

#[test]
#[ignore = "up to 15 minutes: a default run for each of 15 faults"]
fn the_default_run_finds_each() {
    FAULTS.iter().for_each(|(fault, _)| is_found(fault));
}

#[test]
#[ignore = "a minute: the default run of a sound wrapper"]
fn the_default_run_finds_nothing_in_a_sound_wrapper() {
    let report = default_run("NONE", 0, &[]);
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(0));
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn a_leak_is_found_in_seconds() {
    let report = default_run("LEAKS_FREES", 1, &["--workload", "drain", "--for", "20s"]);
    let kind = report["findings"][0]["kind"].as_str().unwrap();
    assert!(["not-given-back", "growth"].contains(&kind), "{report}");
}

#[test]
fn a_stall_is_found_in_seconds() {
    for fault in ["STALLS", "SPINS"] {
        let report = default_run(fault, 1, &["--workload", "steady", "--for", "30s"]);
        assert_eq!(report["findings"][0]["kind"], "stall", "{report}");
    }
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn one_thread_that_hangs_is_found_while_others_go_on() {
    let report = default_run("HANGS", 1, &["--workload", "mixed", "--for", "60s"]);
    assert_eq!(report["findings"][0]["kind"], "hang", "{report}");
    let seen = report["findings"][0]["seen"].as_str().unwrap();
    assert!(seen.contains("of its own time, asleep"), "{seen}");
}

#[test]
fn a_benign_fault_does_not_use_up_the_run() {
    let place = tempfile::tempdir().unwrap();
    let source = include_str!("../faulty/wrap.c");
    let library = support::library(place.path(), "errno", source, &["-DFAULT=CLOBBERS_ERRNO"]);
    let findings = place.path().join("findings");
    let always = ["--allocator", &library, "--findings", findings.to_str().unwrap()];
    let short = ["--workload", "churn", "--for", "2s"];
    let report = support::PLAIN.report(1, &[&always[..], &short].concat());
    assert_eq!(report["findings"][0]["kind"], "errno", "{report}");
    let operations = |report: &Value| report["runs"][0]["counts"]["operations"].as_u64().unwrap();
    assert!(operations(&report) > 10_000, "it goes on: {report}");
    let arguments = [&always[..], &short, &["--suppress", "errno"]].concat();
    let suppressed = support::PLAIN.report(0, &arguments);
    assert!(operations(&suppressed) > 10_000, "{suppressed}");
    let notes = &suppressed["runs"][0]["notes"];
    assert!(notes["suppressed: errno"].as_u64() > Some(0), "it is counted: {notes}");
}
