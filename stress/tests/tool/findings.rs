//! Findings as their user meets them: a folder each, which can be replayed.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{PLAIN, ended, faulty, json, text};
use serde_json::Value;
use tempfile::TempDir;

/// A finding on the allocator of `pages.c` with a fault: what it lies in, and its folder.
fn found(flag: &str, threads: &str) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let allocator = faulty(place.path(), flag);
    let findings = place.path().join("my findings");
    let arguments = ["--allocator", &allocator, "--workload", "mixed", "--for", "30s", "--first"];
    let more = ["--threads", threads, "--format", "json", "--findings", findings.to_str().unwrap()];
    let output = PLAIN.run(&[&arguments[..], &more].concat());
    let report = json(&output, 1);
    let finding = &report["findings"][0];
    let folder = PathBuf::from(finding["folder"].as_str().unwrap());
    assert!(folder.starts_with(&findings), "{}", folder.display());
    assert_eq!(
        finding["replay"],
        format!("cargo stress replay '{}'", folder.display()),
        "a path with a space is quoted"
    );
    (place, folder)
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn a_finding_is_a_folder_with_all_that_is_known() {
    let (place, folder) = found("-DMISALIGN", "2");
    let record: Value = serde_json::from_str(&read(&folder, "finding.json")).unwrap();
    assert_eq!(record["format"], "drystone-stress-finding");
    assert_eq!(record["version"], 1);
    assert_eq!(record["finding"]["kind"], "misaligned");
    assert_eq!(record["spec"]["threads"], 2);
    assert!(record["spec"]["seed"].as_str().unwrap().starts_with("0x"));
    assert!(record["command"].as_str().unwrap().starts_with("cargo stress replay "));
    // Which file it was: sha256sum says the same.
    let library = place.path().join("faulty.so");
    let sum = Command::new("sha256sum").arg(&library).output().unwrap();
    assert!(text(&sum.stdout).starts_with(record["allocator"]["sha256"].as_str().unwrap()));
    // The history names the block, and the call that went wrong is the last of its thread.
    let history = read(&folder, "history.txt");
    let thread = record["finding"]["thread"].as_u64().unwrap();
    let seen = record["finding"]["seen"].as_str().unwrap();
    // By its place: a block that this thread resized may be another's by name.
    let title = history.lines().next().unwrap();
    assert!(title.starts_with("block ") && title.contains(&format!(" {seen}..")), "{history}");
    let calls = history.split(&format!("The last calls of thread {thread}:\n\n")).nth(1).unwrap();
    let calls = calls.split("\n\n").next().unwrap();
    assert!(calls.lines().last().unwrap().contains(&format!("= {seen}")), "{seen}:\n{calls}");
    // Where the checker was.
    assert!(read(&folder, "backtrace.txt").contains("check_alignment"));
    assert!(read(&folder, "finding.txt").contains("expected"));
    let names = fs::read_dir(folder.parent().unwrap()).unwrap().count();
    assert_eq!(names, 1, "nothing half written is left");
}

#[test]
fn a_finding_that_can_not_be_kept_is_reported_all_the_same() {
    let place = tempfile::tempdir().unwrap();
    let allocator = faulty(place.path(), "-DMISALIGN");
    // A file lies where the folder would be.
    let findings = place.path().join("findings");
    fs::write(&findings, "").unwrap();
    let arguments = [
        "--allocator",
        &allocator,
        "--workload",
        "mixed",
        "--for",
        "30s",
        "--threads",
        "2",
        "--first",
    ];
    let kept = ["--format", "json", "--findings", findings.to_str().unwrap()];
    let output = PLAIN.run(&[&arguments[..], &kept].concat());
    let report = json(&output, 1);
    assert_eq!(report["findings"][0]["kind"], "misaligned", "{report}");
    assert!(report["runs"][0]["counts"]["operations"].as_u64() > Some(0), "{report}");
    let replay = report["findings"][0]["replay"].as_str().unwrap();
    assert!(replay.starts_with("cargo stress --allocator "), "{replay}");
    let said = text(&output.stderr);
    assert!(said.contains("the finding could not be kept: the folder for findings"), "{said}");
}

#[test]
fn one_thread_comes_again_exactly_every_time() {
    for flag in ["-DMISALIGN", "-DCRASH"] {
        let (_place, folder) = found(flag, "1");
        let record: Value = serde_json::from_str(&read(&folder, "finding.json")).unwrap();
        let folder = folder.to_str().unwrap();
        let output = PLAIN.run(&["replay", folder, "--format", "json", "--recorded", "3"]);
        let replayed = json(&output, 1);
        let attempts = replayed["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 1, "the recorded order shows it: {replayed}");
        assert_eq!(attempts[0]["way"], "recorded");
        assert_eq!((&attempts[0]["tries"], &attempts[0]["again"]), (&3.into(), &3.into()));
        assert_eq!(attempts[0]["last"]["operation"], record["finding"]["operation"]);
        assert!(text(&output.stderr).contains("the finding came again"));
    }
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn many_threads_come_again_in_their_logged_order_or_from_the_seed() {
    // A journal has the order in which calls began, not always that in which the heap served
    // them: one of several comes again.
    let by_journal = (0..4).find_map(|_| {
        let (place, folder) = found("-DMISALIGN", "3");
        let name = folder.to_str().unwrap();
        let replayed =
            json(&PLAIN.run(&["replay", name, "--format", "json", "--recorded", "3"]), 1);
        (replayed["attempts"][0]["again"].as_u64() > Some(0)).then_some((place, folder))
    });
    let (_place, folder) = by_journal.expect("a recorded order that shows the fault");
    let folder = folder.to_str().unwrap();
    let arguments = ["replay", folder, "--format", "json", "--recorded", "0", "--times", "3"];
    let by_seed = json(&PLAIN.run(&arguments), 1);
    assert_eq!(by_seed["attempts"][0]["way"], "free");
    assert_eq!(by_seed["attempts"][0]["again"], 3, "{by_seed}");
    // By its old name.
    let table = PLAIN.run(&["replay", folder, "--logged", "1"]);
    let table = text(&table.stdout);
    assert!(table.contains("the recorded calls in their order, one at a time"), "{table}");
    assert!(table.contains("misaligned: "), "{table}");
}

#[test]
fn a_fault_that_was_mended_does_not_come_again() {
    for (threads, code) in [("1", 0), ("2", 3)] {
        let (place, folder) = found("-DMISALIGN", threads);
        faulty(place.path(), "-DMENDED");
        let folder = folder.to_str().unwrap();
        let output = PLAIN.run(&["replay", folder, "--recorded", "1", "--times", "0"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("the allocator has changed"), "{said}");
        assert!(said.contains("did not come again"), "{said}");
    }
}

#[test]
fn what_is_no_finding_is_rejected() {
    let rejected = |folder: &Path| PLAIN.usage_error(&["replay", folder.to_str().unwrap()]);
    let place = tempfile::tempdir().unwrap();
    let said = rejected(&place.path().join("nowhere"));
    assert!(said.contains("give the folder of a finding"), "{said}");
    let record = place.path().join("finding.json");
    fs::write(&record, "{}").unwrap();
    assert!(rejected(place.path()).contains("is no finding's record"));
    fs::write(&record, r#"{"format": "drystone-results", "version": 1}"#).unwrap();
    assert!(rejected(place.path()).contains("is a `drystone-results`, and no finding"));
    fs::write(&record, r#"{"format": "drystone-stress-finding", "version": 9}"#).unwrap();
    assert!(rejected(place.path()).contains("is of version 9, and this tool reads 1"));
}

#[test]
fn an_episode_is_a_process_from_a_seed_of_its_own() {
    let arguments = ["--allocator", "list", "--workload", "mixed", "--for", "2500ms"];
    let place = tempfile::tempdir().unwrap();
    let findings = place.path().join("findings");
    let record = place.path().join("record.jsonl");
    let more = ["--episode", "500ms", "--threads", "2", "--format", "json", "--findings"];
    let to = [findings.to_str().unwrap(), "--record", record.to_str().unwrap()];
    json(&PLAIN.run(&[&arguments[..], &more[..], &to].concat()), 0);
    // A sample every quarter of a second says which process it is of.
    let text = fs::read_to_string(&record).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let processes: HashSet<u64> =
        lines.filter_map(|line| line["sample"]["process"].as_u64()).collect();
    assert!(processes.len() >= 3, "{text}");
    assert!(!findings.exists(), "nothing is kept of episodes that found nothing");
}

#[test]
fn a_finding_is_shrunk_to_what_it_needs() {
    // Every block of more than 64 KiB is off: one call is enough; or two, if it is a realloc that
    // is left, which needs a block.
    let (_place, folder) = found("-DLARGE_MISALIGN", "3");
    let shrunk = json(&PLAIN.run(&["shrink", folder.to_str().unwrap(), "--format", "json"]), 0);
    assert_eq!(shrunk["finished"], true, "{shrunk}");
    assert_eq!(shrunk["after"]["threads"], 1, "{shrunk}");
    assert_eq!(shrunk["after"]["bytes_asked_for"], 65_537, "{shrunk}");
    assert!(shrunk["before"]["calls"].as_u64() > Some(1), "{shrunk}");
    // The result is a finding like any other.
    let small = folder.join("shrunk");
    let calls = read(&small, "calls.txt");
    let (one, two) = (
        "thread 0  malloc(65537) = block 0.0\n",
        "thread 0  malloc(0) = block 0.0\nthread 0  realloc(block 0.0, 65537)\n",
    );
    assert!(calls == one || calls == two, "{calls}");
    let replayed = json(&PLAIN.run(&["replay", small.to_str().unwrap(), "--format", "json"]), 1);
    assert_eq!(replayed["attempts"][0]["again"], 5, "{replayed}");
    // It is not overwritten.
    let again = PLAIN.usage_error(&["shrink", folder.to_str().unwrap()]);
    assert!(again.contains("is there already"), "{again}");
}

#[test]
fn what_does_not_come_again_is_not_shrunk() {
    let (place, folder) = found("-DMISALIGN", "2");
    faulty(place.path(), "-DMENDED");
    let output = PLAIN.run(&["shrink", folder.to_str().unwrap()]);
    ended(&output, 3);
    assert!(text(&output.stderr).contains("it came again 0 of 5 times"));
    assert!(!folder.join("shrunk").exists());
}

#[test]
fn time_that_runs_out_leaves_the_smallest_so_far() {
    // One call in 5,000 goes wrong, so that thousands must stay, and all of them are tried.
    let (_place, folder) = found("-DMISALIGN", "1");
    let folder = folder.to_str().unwrap();
    let output = PLAIN.run(&["shrink", folder, "--for", "6s", "--format", "json"]);
    let shrunk = json(&output, 0);
    assert_eq!(shrunk["finished"], false, "{shrunk}");
    assert!(shrunk["after"]["calls"].as_u64() < shrunk["before"]["calls"].as_u64(), "{shrunk}");
    let small = shrunk["folder"].as_str().unwrap();
    let replayed = json(&PLAIN.run(&["replay", small, "--format", "json", "--recorded", "2"]), 1);
    assert_eq!(replayed["attempts"][0]["again"], 2, "{replayed}");
}

#[test]
fn a_finding_is_printed_with_the_command_that_replays_it() {
    let folder = tempfile::tempdir().unwrap();
    let crashing = faulty(folder.path(), "-DCRASH");
    let arguments = ["--allocator", &crashing, "--workload", "mixed", "--for", "20s"];
    let findings = folder.path().join("findings");
    let more = ["--threads", "2", "--first", "--findings", findings.to_str().unwrap()];
    let output = PLAIN.run(&[&arguments[..], &more].concat());
    ended(&output, 1);
    let table = text(&output.stdout);
    for part in [
        "crash: ",
        "SIGABRT",
        "out of luck",
        "operation",
        ", after ",
        "replay    cargo stress replay ",
        "--suppress crash",
    ] {
        assert!(table.contains(part), "{part} in:\n{table}");
    }
}

/// CI systems show it as tests: one that failed, and one that passed.
#[test]
fn the_outcome_is_written_as_junit_too() {
    let place = tempfile::tempdir().unwrap();
    let junit = place.path().join("a <b>.xml");
    let file = junit.to_str().unwrap();
    let allocator = faulty(place.path(), "-DMISALIGN");
    let findings = place.path().join("findings");
    let arguments = ["--allocator", &allocator, "--for", "30s", "--first", "--junit", file];
    let more = ["--workload", "mixed", "--findings", findings.to_str().unwrap()];
    ended(&PLAIN.run(&[&arguments[..], &more].concat()), 1);
    let report = quick_junit::Report::deserialize_from_str(&fs::read_to_string(&junit).unwrap());
    let report = report.expect("JUnit XML");
    assert_eq!((report.tests, report.failures, report.errors), (1, 1, 0));
    let suite = &report.test_suites[0];
    assert_eq!(suite.name.as_str(), "faulty");
    let case = &suite.test_cases[0];
    assert!(case.name.as_str().starts_with("mixed, ") && case.time.is_some(), "{case:?}");
    let quick_junit::TestCaseStatus::NonSuccess { ty, description, .. } = &case.status else {
        panic!("{case:?}");
    };
    assert_eq!(ty.as_ref().map(|ty| ty.as_str()), Some("misaligned"));
    let description = description.as_ref().map_or("", |text| text.as_str());
    assert!(description.contains("cargo stress replay "), "{description}");

    // Written anew, and no shorter text leaves the end of a longer one.
    let allocator = ["--allocator", "system", "--for", "300ms", "--junit", file];
    ended(&PLAIN.run(&[&allocator[..], &["--workload", "churn"]].concat()), 0);
    let report = quick_junit::Report::deserialize_from_str(&fs::read_to_string(&junit).unwrap());
    assert_eq!(report.expect("JUnit XML").failures, 0);

    let said = PLAIN.usage_error(&["--allocator", "system", "--junit", "nowhere/x.xml"]);
    assert!(said.contains("--junit nowhere/x.xml"), "{said}");
}
