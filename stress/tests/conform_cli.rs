//! `cargo stress conform` as its user sees it: arguments, output, exit codes.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stress"));
    command.arg("conform").args(arguments).env_remove("NO_COLOR");
    command.output().expect("the tool starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the tool prints UTF-8")
}

/// Runs with `--format json`, checks the exit code, and returns the report.
fn report(code: i32, arguments: &[&str]) -> Value {
    let output = run(&[arguments, &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the report is JSON")
}

/// Runs, expects exit code 2 and nothing on standard output, and returns standard error.
fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
    text(&output.stderr).to_owned()
}

/// Compiles a shared library; its path.
fn library(folder: &Path, name: &str, source: &str, flags: &[&str]) -> String {
    let (c, so) = (folder.join(name).with_extension("c"), folder.join(format!("{name}.so")));
    std::fs::write(&c, source).unwrap();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-w"])
        .args(flags)
        .args([&c, Path::new("-o"), &so])
        .status()
        .expect("cc runs");
    assert!(status.success(), "cc failed");
    so.to_string_lossy().into_owned()
}

#[test]
fn what_is_wrong_is_refused_before_anything_is_checked() {
    for (arguments, expected) in [
        (&["--row", "no such"][..], "matches no row; --list shows them all"),
        (&["--row", "["], "`[` is no regular expression"),
        (&["--subject", "sistem"], "there is no subject `sistem`. Did you mean `system`?"),
        (&["--subject", "./nowhere.so"], "give the path of a shared library that defines malloc"),
        (&["--subject", "/dev/null"], "is no shared library (ELF)"),
        (&["--subject", "system", "--subject", "system"], "two subjects are called system"),
        (&["--deadline", "soon"], "`soon` is no duration"),
        (&["--env", "LD_PRELOAD=x.so"], "LD_PRELOAD is set by --subject"),
    ] {
        let why = refused(arguments);
        assert!(why.contains(expected), "{arguments:?}: {why}");
    }
}

#[test]
fn a_library_that_does_not_serve_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let without = library(folder.path(), "without", "int nothing(void) { return 0; }", &[]);
    let why = refused(&["--subject", &without, "--row", "^zero/malloc$"]);
    assert!(why.contains("subject without: ") && why.contains("does not define malloc"), "{why}");
}

#[test]
fn rows_have_sources_and_outcomes() {
    let report = report(0, &["--subject", "system", "--row", "^zero/(malloc|malloc-returns)$"]);
    assert_eq!(report["format"], "drystone-conform-report");
    assert_eq!(report["version"], 1);
    assert_eq!(report["rows"][0]["source"], "C23 7.24.3; POSIX.1-2024 malloc");
    assert_eq!(report["rows"][0]["subjects"][0]["verdict"], "pass");
    let recorded = &report["rows"][1];
    assert_eq!(
        (&recorded["judged"], &recorded["subjects"][0]["does"]),
        (&false.into(), &"a pointer".into())
    );
    assert_eq!(report["findings"].as_array().unwrap().len(), 0);
}

/// glibc's own checks name a second free of a small block, and a stack's memory is none of its.
#[test]
fn a_report_of_the_system_is_attributed() {
    let arguments = ["--subject", "system", "--row", "/double-free-immediate/8B$"];
    let report = report(0, &arguments);
    let entry = &report["mistakes"][0]["subjects"][0];
    assert_eq!(entry["score"]["end"], "reported", "{entry}");
    assert_eq!(entry["score"]["message"], "free(): double free detected in tcache 2");
    assert_eq!(entry["twin"]["verdict"], "pass");
}

#[test]
fn a_crash_and_a_hang_are_findings() {
    let folder = tempfile::tempdir().unwrap();
    let source = include_str!("pages.c");
    // Only what is meant to hang may be given up soon.
    for (flag, outcome, deadline) in [("-DCRASH", "crash", "10m"), ("-DHANGS", "hang", "3s")] {
        let faulty = library(folder.path(), "faulty", source, &[flag]);
        let row = "^realloc/at-random$";
        let report = report(1, &["--subject", &faulty, "--row", row, "--deadline", deadline]);
        assert_eq!(report["rows"][0]["subjects"][0]["outcome"], outcome, "{report}");
        assert_eq!(report["findings"][0]["row"], "realloc/at-random");
    }
}

#[test]
fn tables_have_a_row_each_and_no_colour_unless_asked_for() {
    let arguments = ["--subject", "system", "--row", "^zero/|misuse/double-free-immediate/8B"];
    let output = run(&arguments);
    let printed = text(&output.stdout);
    assert!(printed.lines().any(|line| line.contains("zero/free-null") && line.contains("pass")));
    assert!(printed.contains("double-free-immediate") && !printed.contains('\u{1b}'), "{printed}");
    let output = run(&[&arguments[..], &["--format", "markdown"]].concat());
    let printed = text(&output.stdout);
    assert!(printed.contains("### Semantics") && printed.contains("| zero/free-null"), "{printed}");
    let output = run(&[&arguments[..], &["--color", "always"]].concat());
    assert!(text(&output.stdout).contains('\u{1b}'));
}

#[test]
fn ctrl_c_still_reports_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("hangs");
    let flags = ["-DHANGS".to_owned(), format!("-DSIGN=\"{}\"", sign.display())];
    let flags = [flags[0].as_str(), &flags[1]];
    let hangs = library(folder.path(), "hangs", include_str!("pages.c"), &flags);
    let mut tool = Command::new(env!("CARGO_BIN_EXE_stress"))
        .args(["conform", "--subject", &hangs, "--row", "^(zero/malloc|realloc/at-random)$"])
        .args(["--jobs", "1", "--deadline", "10m", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The second row has begun, and hangs: the tool has installed its handler long before.
    while !sign.exists() {
        assert!(tool.try_wait().unwrap().is_none(), "the tool is still there");
        thread::sleep(Duration::from_millis(10));
    }
    // SAFETY: the process is this one's child and not waited for yet, so its number is its own.
    assert_eq!(unsafe { libc::kill(tool.id().cast_signed(), libc::SIGTERM) }, 0);
    let output = tool.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    let outcomes: Vec<&Value> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["subjects"][0]["outcome"])
        .collect();
    assert_eq!(outcomes, ["said", "stopped"]);
}

#[test]
fn the_list_names_rows_with_their_sources() {
    let output = run(&["--list"]);
    assert_eq!(output.status.code(), Some(0));
    let listed = text(&output.stdout);
    assert!(
        listed.contains("  zero/free-null: free(NULL) does nothing [C23 7.24.3.3]"),
        "{listed}"
    );
    assert!(listed.contains("  misuse/underflow-8/4M"), "{listed}");
}
