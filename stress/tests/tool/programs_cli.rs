//! `cargo stress programs` as its user sees it: arguments, output, exit codes, and planted faults,
//! each found.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{PLAIN, Tool, ended, has, has_module, library, text};
use drystone_harness::process::launcher::{End, Launcher};
use drystone_harness::stop::Stop;
use drystone_measure::programs::command;
use serde_json::Value;

/// One round where a report is wanted.
const PROGRAMS: Tool = Tool { name: &["programs"], for_a_report: &["--quick"], ..PLAIN };

fn faulty(folder: &Path, fault: &str) -> String {
    library(folder, fault, include_str!("../faulty.c"), &[&format!("-DFAULT={fault}")])
}

fn has_lua() -> bool {
    has("lua5.4", "lua5.4")
}

fn has_perl() -> bool {
    has("perl", "perl")
}

#[test]
fn what_is_wrong_is_a_usage_error_before_anything_runs() {
    for (arguments, expected) in [
        (&["--allocator", "system", "--program", "pearl"][..], "Did you mean `perl`?"),
        (&["--allocator", "./nowhere.so"], "give the path of a shared library that defines malloc"),
        (&["--allocator", "/dev/null"], "is no shared library (ELF)"),
        (&["--allocator", "system", "--deadline", "soon"], "`soon` is no duration"),
    ] {
        let why = PROGRAMS.usage_error(arguments);
        assert!(why.contains(expected), "{arguments:?}: {why}");
    }
}

#[test]
fn the_list_names_programs_and_allocators() {
    let output = PROGRAMS.run(&["--list"]);
    assert!(output.status.success());
    for line in ["  system ", "  python-fork ", "  xz "] {
        assert!(text(&output.stdout).contains(line), "{line}: {}", text(&output.stdout));
    }
}

#[test]
fn a_right_allocator_is_the_same_and_its_calls_are_counted() {
    if !(has_lua() && has_perl()) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let right = faulty(folder.path(), "NONE");
    let programs = ["--program", "lua", "--program", "perl"];
    let report = PROGRAMS.report(0, &[&["--allocator", &right][..], &programs].concat());
    assert_eq!(
        (&report["format"], &report["version"]),
        (&"drystone-programs-report".into(), &2.into())
    );
    for program in report["programs"].as_array().unwrap() {
        let allocator = &program["allocators"][0];
        assert!(allocator["calls"].as_u64() > Some(100_000), "{program}");
        assert_eq!(allocator["finding"], Value::Null);
        let round = &allocator["rounds"][0];
        for side in 0..2 {
            assert!(round["cpu"][side].as_f64() > Some(0.0), "{program}");
            // A small program's lies near the floor, the tool's own: above it or below.
            assert!(round["peak"][side].as_u64() > Some(1000), "{program}");
        }
    }
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn every_planted_fault_is_found() {
    let folder = tempfile::tempdir().unwrap();
    // Only what is meant to hang may be given up soon.
    for (fault, program, kinds) in [
        ("DIRTY_CALLOC", "perl", &["fails", "differs"][..]),
        ("SHORT_REALLOC", "lua", &["fails", "differs"]),
        ("TWO_OWNERS", "lua", &["fails", "differs"]),
        ("CRASH", "lua", &["fails"]),
        ("HANG", "lua", &["hangs"]),
        // The end of a program that did nothing wrong, but too early.
        ("EXIT", "lua", &["differs"]),
        ("CHILD_HANGS", "perl", &["hangs"]),
    ] {
        if !(if program == "lua" { has_lua() } else { has_perl() }) {
            continue;
        }
        let faulty = faulty(folder.path(), fault);
        let deadline = if kinds == ["hangs"] { "20s" } else { "10m" };
        let arguments = ["--allocator", &faulty, "--program", program, "--deadline", deadline];
        let report = PROGRAMS.report(1, &arguments);
        let finding = &report["programs"][0]["allocators"][0]["finding"];
        let kind = finding["kind"].as_str().unwrap_or_default();
        assert!(kinds.contains(&kind), "{fault}: {finding}");
    }
}

/// One of Python's tests fails by it, and not when it is run again.
#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn a_fault_that_does_not_come_again_is_found() {
    if !has_module("test.test_json", "libpython3-testsuite") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let once = faulty(folder.path(), "ONCE");
    let report = PROGRAMS.report(1, &["--allocator", &once, "--program", "python-suite"]);
    let allocator = &report["programs"][0]["allocators"][0];
    assert_eq!(allocator["finding"]["kind"], "flaky", "{report}");
    let tests = allocator["flaky"].as_array().unwrap();
    assert_eq!(tests.len(), 1, "{report}");
    let detail = allocator["finding"]["detail"].as_str().unwrap();
    assert!(detail.ends_with(tests[0].as_str().unwrap()), "{detail}");
}

#[test]
fn an_allocator_that_serves_nothing_is_found() {
    if !has_lua() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let nothing = library(folder.path(), "nothing", "int nothing(void) { return 0; }", &[]);
    let report = PROGRAMS.report(1, &["--allocator", &nothing, "--program", "lua"]);
    let finding = &report["programs"][0]["allocators"][0]["finding"];
    assert_eq!(finding["kind"], "reports", "{finding}");
    assert!(finding["detail"].as_str().unwrap().contains("served by"), "{finding}");
}

#[test]
fn too_few_calls_are_a_finding_in_words_and_markdown() {
    if !has_lua() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let right = faulty(folder.path(), "NONE");
    let few = ["--allocator", &right, "--program", "lua", "--quick", "--calls", "1000000000"];
    for format in ["table", "markdown"] {
        let output = PROGRAMS.run(&[&few[..], &["--format", format]].concat());
        ended(&output, 1);
        let out = text(&output.stdout);
        assert!(out.contains("not served") && out.contains("NONE in lua: "), "{out}");
        assert!(out.contains("1,000,000,000 must"), "{out}");
    }
}

// ---- One command -------------------------------------------------------------------------------

fn sh(script: &str, deadline: Duration, stop: &Stop) -> (End, String, String, u64) {
    let launcher =
        Launcher { program: PathBuf::from(env!("CARGO_BIN_EXE_drystone-stress")), deadline };
    let arguments = ["sh", "-c", script].map(str::to_owned);
    let path = std::env::var_os("PATH").unwrap();
    let environment = [("PATH".to_owned(), path), ("WHO".to_owned(), "world".into())];
    let ended = command::run(&launcher, &arguments, Path::new("/"), &environment, stop).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.end, text(ended.output), text(ended.errors), ended.resources.peak)
}

#[test]
fn what_a_command_says_and_how_it_ends_is_seen() {
    let minute = Duration::from_secs(60);
    let (end, stdout, stderr, peak) =
        sh("echo hello $WHO $STRESS; echo error >&2; exit 3", minute, &Stop::new());
    assert_eq!((stdout.as_str(), stderr.as_str()), ("hello world\n", "error\n"));
    assert_eq!(end.to_string(), "exit status 3");
    assert!(peak > 0);
    let (killed, ..) = sh("kill -SEGV $$", minute, &Stop::new());
    assert!(killed.to_string().starts_with("killed by SIGSEGV"), "{killed:?}");
}

#[test]
fn one_that_hangs_is_killed_with_its_children() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = format!("(sleep 3; echo late > {}) & wait", file.path().display());
    let began = Instant::now();
    let (end, ..) = sh(&script, Duration::from_millis(500), &Stop::new());
    assert_eq!(end, End::Hung(0));
    std::thread::sleep(Duration::from_secs(4).saturating_sub(began.elapsed()));
    assert_eq!(std::fs::read(file.path()).unwrap(), b"");
    let stop = Stop::new();
    stop.set();
    assert_eq!(sh("sleep 60", Duration::from_secs(60), &stop).0, End::Stopped);
}
