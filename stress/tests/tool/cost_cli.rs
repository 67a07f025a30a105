//! `cargo stress cost` as its user sees it: arguments, output, exit codes. No figure of time is
//! judged here.

use std::thread;
use std::time::Duration;

use crate::support::{PAGES, PLAIN, Tool, ended, interrupted, library, text};
use serde_json::Value;

/// Measurements are short where a report is wanted.
const COST: Tool = Tool { name: &["cost"], for_a_report: &["--quick"], ..PLAIN };

#[test]
fn what_is_wrong_is_a_usage_error_before_anything_is_measured() {
    for (arguments, expected) in [
        (&["--rounds", "2"][..], "--rounds 2: fewer than 3"),
        (&["--allocator", "linked:lits"], "Did you mean `linked:list`?"),
        (
            &["--allocator", "linked:list", "--allocator", "list"],
            "two allocators are called linked:list",
        ),
        (&["--allocator", "./nowhere.so"], "give the path of a shared library that defines malloc"),
        (&["--threads", "0"], "0 is not in 1..=64"),
    ] {
        let why = COST.usage_error(arguments);
        assert!(why.contains(expected), "{arguments:?}: {why}");
    }
}

#[test]
fn every_check_has_a_figure_and_the_memory_is_judged() {
    let report = COST
        .report(0, &["--allocator", "linked:drystone", "--allocator", "system", "--seed", "42"]);
    assert_eq!(report["format"], "drystone-cost-report");
    assert_eq!((&report["version"], &report["rounds"]), (&2.into(), &3.into()));
    assert_eq!(report["seed"], "0x000000000000002a");
    for allocator in report["allocators"].as_array().unwrap() {
        let checks = allocator["checks"].as_array().unwrap();
        assert_eq!(checks.len(), 10);
        for check in checks {
            assert!(check["nanoseconds"]["median"].is_f64(), "{check}");
        }
        assert!(allocator["per_second_without"]["median"].as_f64() > Some(0.0));
        assert!(allocator["left"]["median"].as_f64() > Some(0.0));
        // The block's place and name alone are 24.
        let bytes = allocator["bytes_per_live_block"].as_f64().unwrap();
        assert!((24.0..64.0).contains(&bytes), "{bytes}");
        assert_eq!(allocator["failure"], Value::Null);
    }
    let verdicts: Vec<_> =
        report["bounds"].as_array().unwrap().iter().map(|bound| &bound["verdict"]).collect();
    assert_eq!(verdicts, ["cannot-tell", "met", "cannot-tell", "met"]);
}

#[test]
fn tables_are_for_terminals_and_pull_requests() {
    let arguments = ["--allocator", "system", "--quick", "--color", "never"];
    let output = COST.run(&arguments);
    ended(&output, 0);
    let printed = text(&output.stdout);
    for heading in
        ["Operations per second, 2 threads", "What each check alone adds", "Memory", "Bounds"]
    {
        assert!(printed.contains(heading), "{heading}: {printed}");
    }
    assert!(printed.lines().any(|line| line.starts_with(" usable size ")), "{printed}");
    let output = COST.run(&[&arguments[..], &["--format", "markdown"]].concat());
    ended(&output, 0);
    assert!(text(&output.stdout).contains("| usable size"), "{}", text(&output.stdout));
}

#[test]
fn an_allocator_that_fails_is_told_with_what_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, short, detail) in [
        ("-DCRASH", "SIGABRT", "killed by SIGABRT; it printed: pages: out of luck"),
        ("-DMISALIGN", "misaligned", "a finding, misaligned: expected"),
    ] {
        let faulty = library(folder.path(), "faulty", PAGES, &[flag]);
        let report = COST.report(1, &["--allocator", &faulty]);
        let failure = &report["allocators"][0]["failure"];
        assert_eq!(failure["short"], short);
        assert!(failure["detail"].as_str().unwrap().contains(detail), "{failure}");
    }
}

#[test]
fn ctrl_c_still_reports_what_there_is() {
    let arguments = ["--allocator", "system", "--quick", "--rounds", "100000", "--format", "json"];
    let tool = COST.start(&arguments);
    thread::sleep(Duration::from_secs(3));
    let (report, _) = interrupted(tool, libc::SIGTERM);
    assert!(
        report["allocators"][0]["per_second_without"]["median"].as_f64() > Some(0.0),
        "{report}"
    );
}
