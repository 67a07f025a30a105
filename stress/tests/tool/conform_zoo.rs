//! The zoo of the conformance suite: each planted fault must be found, by the row that is meant for
//! it, and the sound shim that all of them are made of must pass those rows.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{PLAIN, library, text};
use serde_json::Value;

/// A fault, the row that must find it, and the outcome there.
type Found = (&'static str, &'static str, &'static str);

/// Faults of single calls.
const CALLS: &[Found] = &[
    ("SHARES_NOTHING", "zero/malloc", "fail"),
    ("CRASHES_AT_NULL", "zero/free-null", "crash"),
    ("CRASHES_AT_NULL", "usable/null", "crash"),
    ("NO_ALIGNED_ALLOC", "interface/aligned_alloc", "fail"),
    ("MISTRUSTS_SIZES", "interface/free_sized", "crash"),
    ("TALKS", "interface/says-nothing", "fail"),
    ("GREETS", "interface/says-nothing", "fail"),
    ("GRANTS_THE_IMPOSSIBLE", "limits/ptrdiff-max", "fail"),
    ("BLAMES_THE_ALIGNMENT", "limits/ptrdiff-max", "fail"),
    ("WRAPS", "limits/size-max", "fail"),
    ("MULTIPLIES", "limits/calloc-overflow", "fail"),
    ("FREES_WHEN_FAILED", "limits/realloc-failed", "any"),
    ("SETS_ERRNO", "limits/posix_memalign-failed", "fail"),
    ("MISALIGNS", "alignment/malloc", "fail"),
    ("ALIGNS_TO_A_PAGE", "alignment/aligned_alloc-2M", "fail"),
    ("GRANTS_BAD_ALIGNMENTS", "alignment/aligned_alloc-bad", "fail"),
    ("TOUCHES_MEMPTR", "alignment/posix_memalign-bad", "fail"),
    ("VALLOC_IS_MALLOC", "alignment/valloc", "fail"),
    ("UNDERSTATES", "usable/at-least", "fail"),
    ("OVERSTATES", "usable/writable", "any"),
    ("LOSES_THE_END", "realloc/every-pair", "fail"),
    ("LOSES_THE_END", "realloc/at-random", "fail"),
    ("FORGETS_TO_ZERO", "calloc/dirty-reuse", "fail"),
    ("CLOBBERS_ERRNO", "errno/free", "fail"),
    ("FORGETS_ENOMEM", "errno/enomem", "fail"),
];

/// Faults of whole processes.
const PROCESSES: &[Found] = &[
    ("NOT_BEFORE_CONSTRUCTOR", "lifetime/before-constructors", "fail"),
    ("DIES_AT_EXIT", "lifetime/atexit", "fail"),
    ("DIES_AT_EXIT", "lifetime/after-destructors", "fail"),
    ("DIES_WITH_ITS_KEY", "lifetime/tls-destructors", "fail"),
    ("FAILS_THE_ALIGNED", "signals/in-a-handler", "fail"),
    ("FAILS_THE_ALIGNED", "processes/atfork-handlers", "fail"),
    ("FAILS_OTHER_STACKS", "signals/other-stack", "fail"),
    ("GIVES_UP_AT_EINTR", "signals/storm", "fail"),
    ("CALLS_LOADER", "loading/while-others-allocate", "hang"),
    ("LEAKS_PER_THREAD", "threads/churn", "fail"),
    ("DEEP", "threads/small-stack", "crash"),
    ("UNLOCKED", "threads/exchange", "any"),
    ("FORGETS_FORK", "processes/fork-from-thread", "hang"),
    ("FORGETS_FORK", "processes/fork-in-a-storm", "hang"),
    ("LEAVES_ITS_STATE", "processes/vfork-exec", "fail"),
    ("ABORTS_WHEN_FAILED", "exhaustion/large-blocks", "crash"),
    ("ABORTS_WHEN_FAILED", "exhaustion/map-count", "crash"),
    ("OPENS_A_FILE", "own/descriptors", "fail"),
    ("STARTS_A_THREAD", "own/threads", "fail"),
    ("HANDLES_A_SIGNAL", "own/signals", "fail"),
];

/// What a shim makes of a small block that is freed twice.
const SCORED: &[(&str, &str)] = &[
    ("REPORTS", "reported"),
    ("MISNAMES", "crash"),
    ("DEFERRED", "deferred"),
    ("HANGS", "hang"),
    ("SILENT", "silent"),
    ("FAILS", "fails"),
    ("TWO_OWNERS", "two-owners"),
];

const TWICE: &str = "misuse/double-free-immediate/8B";

/// Compiles a shim under a name; the library's path.
fn shim(folder: &Path, name: &str, fault: &str) -> String {
    let fault = format!("-D{fault}");
    library(folder, name, include_str!("../conform_zoo/faults.c"), &["-pthread", &fault])
}

/// The report on some rows, by their exact names, and the exit code.
fn report(library: &str, rows: &[&str], deadline: &str) -> (i32, Value) {
    let (allocator, filter) = (format!("shim={library}"), format!("^({})$", rows.join("|")));
    let arguments =
        ["conform", "--allocator", &allocator, "--row", &filter, "--deadline", deadline];
    let output = PLAIN.run(&[&arguments[..], &["--format", "json"]].concat());
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
    (output.status.code().unwrap_or(-1), report)
}

fn outcome(cell: &Value) -> &str {
    cell["verdict"].as_str().or_else(|| cell["outcome"].as_str()).unwrap_or("none")
}

fn found(faults: &[Found]) {
    let folder = tempfile::tempdir().unwrap();
    let mut missed = Vec::new();
    for &(fault, row, expected) in faults {
        let library = shim(folder.path(), &fault.to_lowercase(), fault);
        // To hang is what some are there for; the others must not look like it on a busy machine.
        let (deadline, tries) = if expected == "hang" { ("10s", 3) } else { ("120s", 1) };
        // And two threads that are to wait for each other may not meet there.
        let mut miss = None;
        for _ in 0..tries {
            let (code, report) = report(&library, &[row], deadline);
            let seen = outcome(&report["rows"][0]["allocators"][0]);
            let right = seen == expected || expected == "any" && ["fail", "crash"].contains(&seen);
            if right && code == 1 {
                miss = None;
                break;
            }
            miss = Some(format!(
                "{fault} in {row}: {seen}, not {expected}, exit code {code}: {report}"
            ));
        }
        missed.extend(miss);
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn faults_of_single_calls_are_found() {
    found(CALLS);
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn faults_of_whole_processes_are_found() {
    found(PROCESSES);
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn the_sound_shim_passes_those_rows() {
    let folder = tempfile::tempdir().unwrap();
    let sound = shim(folder.path(), "sound", "SOUND");
    let rows: BTreeSet<&str> = CALLS.iter().chain(PROCESSES).map(|(_, row, _)| *row).collect();
    let rows: Vec<&str> = rows.into_iter().collect();
    let (code, report) = report(&sound, &rows, "120s");
    assert_eq!(code, 0, "{}", report["findings"]);
    for row in report["rows"].as_array().unwrap() {
        let seen = outcome(&row["allocators"][0]);
        assert!(["pass", "not-offered"].contains(&seen), "{}: {seen}", row["name"]);
    }
    assert_eq!(report["rows"].as_array().unwrap().len(), rows.len());
}

/// Where the standards leave an allocator nothing to be judged by, that is said, and is no pass.
#[test]
fn a_choice_that_leaves_nothing_to_judge_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let library = shim(folder.path(), "null", "NULL_FOR_NOTHING");
    let rows = ["zero/malloc", "zero/grows", "zero/usable-size"];
    let (code, report) = report(&library, &rows, "120s");
    let seen: Vec<&str> =
        (0..3).map(|row| outcome(&report["rows"][row]["allocators"][0])).collect();
    assert_eq!((code, seen), (0, vec!["pass", "behaviour", "behaviour"]), "{report}");
}

#[test]
fn every_end_of_a_mistake_is_told_from_the_others() {
    let folder = tempfile::tempdir().unwrap();
    for &(fault, expected) in SCORED {
        let library = shim(folder.path(), &fault.to_lowercase(), fault);
        let deadline = if expected == "hang" { "5s" } else { "120s" };
        let (code, report) = report(&library, &[TWICE], deadline);
        let score = &report["mistakes"][0]["allocators"][0]["score"];
        assert_eq!(score["end"], expected, "{fault}: {score}");
        // A shim promises nothing.
        assert_eq!(code, 0, "{fault}: {report}");
    }
}

#[test]
fn who_kills_every_program_fails_the_twins() {
    let folder = tempfile::tempdir().unwrap();
    let library = shim(folder.path(), "accuses", "ACCUSES");
    let (code, report) = report(&library, &["twin/double-free-immediate/8B"], "120s");
    assert_eq!(outcome(&report["mistakes"][0]["allocators"][0]["twin"]), "crash");
    assert_eq!((code, report["findings"].as_array().unwrap().len()), (1, 1), "{report}");
}

/// The library that promises to report is judged: silence is a finding.
#[test]
fn who_promises_reports_is_held_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (code, report) = report(&shim(folder.path(), "libdrystone", "SILENT"), &[TWICE], "120s");
    assert_eq!(code, 1, "{report}");
    assert_eq!(report["findings"][0]["row"], TWICE);
}
