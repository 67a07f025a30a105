//! `cargo stress bench` as its user sees it: arguments, output, exit codes.

use std::thread;
use std::time::Duration;

use crate::support::{PAGES, PLAIN, Tool, ended, faulty, has, interrupted, json, library, text};
use serde_json::Value;

/// Rows are short where a report is wanted.
const BENCH: Tool = Tool { name: &["bench"], for_a_report: &["--quick"], ..PLAIN };

/// The one row's cell of the allocator at a place.
fn cell(report: &Value, allocator: usize) -> &Value {
    &report["rows"][0]["allocators"][allocator]
}

#[test]
fn what_is_wrong_is_a_usage_error_before_anything_is_measured() {
    for (arguments, expected) in [
        (&["--rounds", "2"][..], "--rounds 2: fewer than 3"),
        (&["--row", "no such"], "matches no row; --list shows them all"),
        (&["--row", "["], "`[` is no regular expression"),
        (&["--allocator", "mimaloc"], "there is no allocator `mimaloc`. Did you mean `mimalloc`?"),
        (&["--allocator", "./nowhere.so"], "give the path of a shared library that defines malloc"),
        (&["--allocator", "/dev/null"], "is no shared library (ELF)"),
        (&["--allocator", "system", "--against", "list"], "--against takes one that is measured"),
        (&["--allocator", "system", "--allocator", "system"], "two allocators are called system"),
        (&["--deadline", "soon"], "`soon` is no duration"),
    ] {
        let why = BENCH.usage_error(arguments);
        assert!(why.contains(expected), "{arguments:?}: {why}");
    }
}

#[test]
fn a_library_without_malloc_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let without = library(folder.path(), "without", "int nothing(void) { return 0; }", &[]);
    let why = BENCH.usage_error(&["--allocator", &without, "--row", "pair/64$", "--quick"]);
    assert!(why.contains("allocator without: ") && why.contains("does not define malloc"), "{why}");
}

#[test]
fn the_system_is_measured_and_nothing_is_concluded_from_one_short_row() {
    let report = BENCH.report(0, &["--allocator", "system", "--row", "^ring/256$", "--seed", "42"]);
    assert_eq!(report["format"], "drystone-bench-report");
    assert_eq!(report["version"], 2);
    assert_eq!(report["seed"], "0x000000000000002a");
    assert_eq!((&report["rounds"], &report["quick"]), (&3.into(), &true.into()));
    assert_eq!(report["rows"].as_array().unwrap().len(), 1);
    let cell = cell(&report, 0);
    assert!(cell["nanoseconds"].as_f64() > Some(0.0), "{cell}");
    assert_eq!(cell["failure"], Value::Null);
    let samples = cell["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 3);
    for sample in samples {
        let served_by = sample["served_by"].as_str().unwrap();
        assert!(served_by.contains("/libc"), "{served_by}");
        assert!(sample["operations"].as_u64() > Some(0), "{sample}");
    }
    assert!(report["rows"][0]["floor"].as_f64() > Some(0.0));
    assert!(report["rows"][0]["a_a_spread"].as_f64() >= Some(0.0));
    let bounds = report["bounds"].as_array().unwrap();
    assert!(bounds.iter().all(|bound| bound["verdict"] == "cannot-tell"), "{bounds:?}");
}

/// The trace's script reaches the child, and scaling, churn and hand-offs come to an end.
#[test]
fn rows_of_every_kind_run() {
    let by_the_wall = ["handoff/1", "churn"];
    let rows = "^(pair/16|bulk/fifo|calloc/64|realloc/1K|handoff/1|churn|scaling|trace/cc1)$";
    let report = BENCH.report(0, &["--allocator", "system", "--row", rows]);
    for row in report["rows"].as_array().unwrap() {
        let cell = &row["allocators"][0];
        assert!(cell["nanoseconds"].as_f64() > Some(0.0), "{row}");
        let gains = &cell["samples"][0]["gains"];
        assert_eq!(gains.is_object(), row["name"] == "scaling", "{row}");
        let expected = by_the_wall.iter().any(|name| row["name"] == *name);
        let samples = cell["samples"].as_array().unwrap();
        // A busy machine may not have let two threads run at once in one of them.
        assert_eq!(samples.iter().any(|one| one["line"].is_object()), expected, "{row}");
        assert_eq!(row["line"]["median"].as_f64() > Some(0.0), expected, "{row}");
    }
}

/// Each row of its kind comes to its results, in all three runs; and the file has the figures.
#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn rows_after_published_programs_run_and_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("figures.csv");
    let arguments = ["--allocator", "system", "--row", "^like/", "--csv", csv.to_str().unwrap()];
    let report = BENCH.report(0, &arguments);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 11);
    let figures = std::fs::read_to_string(&csv).unwrap();
    for row in rows {
        let cell = &row["allocators"][0];
        assert!(cell["calls_per_second"].as_f64() > Some(0.0), "{row}");
        assert!(cell["latency"]["malloc"]["calls"].as_u64() > Some(0), "{row}");
        assert!(cell["latency"]["free"]["p50"].as_u64() > Some(0), "{row}");
        assert!(cell["memory"]["live"].as_u64() > Some(0), "{row}");
        let line = format!("\n{},system,malloc p50,ns,", row["name"].as_str().unwrap());
        assert!(figures.contains(&line), "{line} is not in {figures}");
    }
}

#[test]
fn an_allocator_that_crashes_hangs_or_fails_is_a_cell() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, short, detail) in [
        ("-DCRASH", "SIGABRT", "killed by SIGABRT"),
        ("-DHANGS", "hang", "not done after 2 s"),
        ("-DNULLS", "wrong", "the allocator failed a request of 64 bytes"),
    ] {
        let faulty = faulty(folder.path(), flag);
        let arguments = [
            "--allocator",
            "system",
            "--allocator",
            &faulty,
            "--row",
            "^pair/64$",
            "--deadline",
            "2s",
        ];
        let report = BENCH.report(1, &arguments);
        assert!(cell(&report, 0)["nanoseconds"].as_f64() > Some(0.0), "{report}");
        let cell = cell(&report, 1);
        assert_eq!(cell["nanoseconds"], Value::Null);
        assert_eq!(cell["failure"]["short"], short);
        let said = cell["failure"]["detail"].as_str().unwrap();
        assert!(said.contains(detail), "{said}");
    }
}

#[test]
fn a_failure_stands_in_the_table_and_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let crashing = library(folder.path(), "crashing", PAGES, &["-DCRASH"]);
    let allocator = format!("mine={crashing}");
    let arguments =
        ["--allocator", &allocator, "--row", "^pair/16$", "--quick", "--color", "never"];
    let output = BENCH.run(&arguments);
    ended(&output, 1);
    let printed = text(&output.stdout);
    assert!(printed.lines().any(|line| line.contains("pair/16") && line.contains("SIGABRT")));
    assert!(printed.contains("mine, pair/16: killed by SIGABRT"), "{printed}");
    assert!(!printed.contains('\u{1b}'));
}

#[test]
fn ctrl_c_still_reports_what_there_is() {
    let rows = ["--allocator", "system", "--row", "^pair/16$", "--quick"];
    let tool = BENCH.start(&[&rows[..], &["--rounds", "100000", "--format", "json"]].concat());
    thread::sleep(Duration::from_secs(3));
    let (report, _) = interrupted(tool, libc::SIGTERM);
    assert!(cell(&report, 0)["nanoseconds"].as_f64() > Some(0.0), "{report}");
}

#[test]
fn the_list_names_allocators_and_rows() {
    let output = BENCH.run(&["--list"]);
    assert_eq!(output.status.code(), Some(0));
    for line in ["  pair/16", "  ring/65536", "  handoff/256", "  churn", "  trace/sqlite"] {
        assert!(text(&output.stdout).lines().any(|listed| listed == line), "{line}");
    }
    assert!(text(&output.stdout).contains("  system           glibc "));
}

/// The figure of a known allocator: glibc 2.26 to 2.41 take from 100 to 150 (its thread cache).
#[test]
fn instructions_of_a_pair_are_counted() {
    if !has("valgrind", "valgrind") {
        return;
    }
    let limits = ["--at-most", "malloc/32=300", "--at-most", "calloc/64=19.5"];
    let who = ["instructions", "--allocator", "system", "--format", "json"];
    let output = BENCH.run(&[&who[..], &limits].concat());
    let report = json(&output, 1);
    assert_eq!(report["format"], "drystone-instructions-report");
    assert_eq!(report["version"], 3);
    assert_eq!(report["counts"][0]["allocator"]["name"], "system");
    let of = |call: &str| report["counts"][0]["instructions"][call].as_f64().unwrap();
    let (counted, zeroed) = (of("malloc/32"), of("calloc/1K"));
    assert!((20.0..300.0).contains(&counted), "{counted}");
    assert!(zeroed > counted, "{zeroed}");
    let said = text(&output.stderr);
    assert!(
        said.ends_with("a pair of calloc/64 is to execute 19.5 instructions at most\n"),
        "{said}"
    );
}
