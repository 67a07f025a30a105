//! `cargo stress conform` as its user sees it: arguments, output, exit codes.

use std::thread;
use std::time::Duration;

use crate::support::{PAGES, PLAIN, Tool, faulty, interrupted, library, text};
use serde_json::Value;

const CONFORM: Tool = Tool { name: &["conform"], ..PLAIN };

#[test]
fn what_is_wrong_is_a_usage_error_before_anything_is_checked() {
    for (arguments, expected) in [
        (&["--row", "no such"][..], "matches no row; --list shows them all"),
        (&["--row", "["], "`[` is no regular expression"),
        (&["--allocator", "sistem"], "there is no allocator `sistem`. Did you mean `system`?"),
        (&["--allocator", "./nowhere.so"], "give the path of a shared library that defines malloc"),
        (&["--allocator", "/dev/null"], "is no shared library (ELF)"),
        (&["--allocator", "system", "--allocator", "system"], "two allocators are called system"),
        (&["--deadline", "soon"], "`soon` is no duration"),
        (&["--env", "LD_PRELOAD=x.so"], "LD_PRELOAD is set by --allocator"),
    ] {
        let why = CONFORM.usage_error(arguments);
        assert!(why.contains(expected), "{arguments:?}: {why}");
    }
}

#[test]
fn a_library_that_does_not_serve_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let without = library(folder.path(), "without", "int nothing(void) { return 0; }", &[]);
    let why = CONFORM.usage_error(&["--allocator", &without, "--row", "^zero/malloc$"]);
    assert!(why.contains("allocator without: ") && why.contains("does not define malloc"), "{why}");
}

/// No row is waited for in vain, and the one finding says what happens.
#[test]
fn who_never_comes_to_main_is_one_finding() {
    let folder = tempfile::tempdir().unwrap();
    for (name, body, outcome, detail) in [
        ("hangs", "for (;;) pause();", "hang", "not done after 3 s"),
        ("aborts", "abort();", "crash", "killed by SIGABRT before it could say who serves it"),
        ("exits", "_exit(0);", "crash", "exit status 0 before it could say who serves it"),
    ] {
        let source = format!(
            "{PAGES}\n#include <stdlib.h>\n#include <unistd.h>\n\
             __attribute__((constructor)) static void begin(void) {{ {body} }}"
        );
        let allocator = library(folder.path(), name, &source, &[]);
        let report = CONFORM.report(1, &["--allocator", &allocator, "--deadline", "3s"]);
        let findings = report["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{report}");
        let said = findings[0]["detail"].as_str().unwrap();
        let expected = format!("no process under it comes to main: {detail}");
        assert!(said.starts_with(&expected) && findings[0]["row"] == "every row", "{said}");
        let rows = report["rows"].as_array().unwrap();
        assert!(rows.iter().all(|row| row["allocators"][0]["outcome"] == outcome), "{report}");
    }
}

#[test]
fn rows_have_sources_and_outcomes() {
    let report =
        CONFORM.report(0, &["--allocator", "system", "--row", "^zero/(malloc|malloc-returns)$"]);
    assert_eq!(report["format"], "drystone-conform-report");
    assert_eq!(report["version"], 2);
    assert_eq!(report["rows"][0]["source"], "C23 7.24.3; POSIX.1-2024 malloc");
    assert_eq!(report["rows"][0]["allocators"][0]["verdict"], "pass");
    let recorded = &report["rows"][1];
    assert_eq!(
        (&recorded["judged"], &recorded["allocators"][0]["does"]),
        (&false.into(), &"a pointer".into())
    );
    assert_eq!(report["findings"].as_array().unwrap().len(), 0);
}

/// glibc's own checks name a second free of a small block, and a stack's memory is none of its.
#[test]
fn a_report_of_the_system_is_attributed() {
    let arguments = ["--allocator", "system", "--row", "/double-free-immediate/8B$"];
    let report = CONFORM.report(0, &arguments);
    let entry = &report["mistakes"][0]["allocators"][0];
    assert_eq!(entry["score"]["end"], "reported", "{entry}");
    assert_eq!(entry["score"]["message"], "free(): double free detected in tcache 2");
    assert_eq!(entry["twin"]["verdict"], "pass");
}

#[test]
fn a_crash_and_a_hang_are_findings() {
    let folder = tempfile::tempdir().unwrap();
    // Only what is meant to hang may be given up soon.
    for (flag, outcome, deadline) in [("-DCRASH", "crash", "10m"), ("-DHANGS", "hang", "3s")] {
        let faulty = faulty(folder.path(), flag);
        let row = "^realloc/at-random$";
        let arguments = ["--allocator", &faulty, "--row", row, "--deadline", deadline];
        let report = CONFORM.report(1, &arguments);
        assert_eq!(report["rows"][0]["allocators"][0]["outcome"], outcome, "{report}");
        assert_eq!(report["findings"][0]["row"], "realloc/at-random");
    }
}

#[test]
fn tables_have_a_row_each_and_no_colour_unless_asked_for() {
    let arguments = ["--allocator", "system", "--row", "^zero/|misuse/double-free-immediate/8B"];
    let output = CONFORM.run(&arguments);
    let printed = text(&output.stdout);
    assert!(printed.lines().any(|line| line.contains("zero/free-null") && line.contains("pass")));
    assert!(printed.contains("double-free-immediate") && !printed.contains('\u{1b}'), "{printed}");
    let output = CONFORM.run(&[&arguments[..], &["--format", "markdown"]].concat());
    let printed = text(&output.stdout);
    assert!(printed.contains("### Semantics") && printed.contains("| zero/free-null"), "{printed}");
    let output = CONFORM.run(&[&arguments[..], &["--color", "always"]].concat());
    assert!(text(&output.stdout).contains('\u{1b}'));
}

#[test]
fn ctrl_c_still_reports_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("hangs");
    let flags = ["-DHANGS".to_owned(), format!("-DSIGN=\"{}\"", sign.display())];
    let hangs = library(folder.path(), "hangs", PAGES, &flags.each_ref().map(String::as_str));
    let rows = ["--allocator", &hangs, "--row", "^(zero/malloc|realloc/at-random)$", "--jobs", "1"];
    let mut tool = CONFORM.start(&[&rows[..], &["--deadline", "10m", "--format", "json"]].concat());
    // The second row has begun, and hangs: the tool has installed its handler long before.
    while !sign.exists() {
        assert!(tool.try_wait().unwrap().is_none(), "the tool is still there");
        thread::sleep(Duration::from_millis(10));
    }
    let (report, _) = interrupted(tool, libc::SIGTERM);
    let outcomes: Vec<&Value> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["allocators"][0]["outcome"])
        .collect();
    assert_eq!(outcomes, ["said", "stopped"]);
}

#[test]
fn the_list_names_rows_with_their_sources() {
    let output = CONFORM.run(&["--list"]);
    assert_eq!(output.status.code(), Some(0));
    let listed = text(&output.stdout);
    assert!(
        listed.contains("  zero/free-null: free(NULL) does nothing [C23 7.24.3.3]"),
        "{listed}"
    );
    assert!(listed.contains("  misuse/underflow-8/4M"), "{listed}");
}
