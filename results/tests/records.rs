//! The program as users meet it, on a project whose benchmarks take no time: what it measures, in
//! which order, what it writes, prints, rejects and leaves behind.

mod support;

use serde_json::Value;
use snapbox::{assert_data_eq, str};
use support::{Output, Project};

const BEFORE: &str = "pair/list/16 10.0\npair/system/16 20.0\nring/list/64 3000.0\n";
const SLOWER: &str = "pair/list/16 12.0\npair/system/16 20.0\nring/list/64 2000.0\n";

fn json(path: &std::path::Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn record_writes_all_processes_of_the_commit() {
    let project = Project::new(BEFORE);
    let head = project.git(&["rev-parse", "HEAD"]);
    let output = project.run(&["record", "--runs", "2", "--samples", "12"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);

    let path = std::path::Path::new(output.stdout.trim());
    assert_eq!(project.stored(), [path]);
    assert!(path.ends_with(format!("{head}.json")), "{}", path.display());
    let record = json(path);
    assert_eq!(record["version"], 1);
    assert_eq!((&record["commit"], &record["dirty"]), (&head.into(), &false.into()));
    assert_eq!(record["settings"]["samples"], 12);
    let machine = record["machine"]["name"].as_str().unwrap();
    assert!(path.parent().unwrap().ends_with(machine));
    assert_eq!(record["machine"]["cores"], std::thread::available_parallelism().unwrap().get());
    let processes = record["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 2);
    for process in processes {
        assert_eq!(process["benchmarks"].as_object().unwrap().len(), 3);
        assert_eq!(process["benchmarks"]["pair/list/16"]["times"].as_array().unwrap().len(), 12);
    }
    project.assert_nothing_left();
}

#[test]
fn a_dirty_tree_leaves_the_commits_record_alone() {
    let project = Project::new(BEFORE);
    project.run(&["record", "--runs", "1"]);
    let clean = project.stored()[0].clone();
    let before = std::fs::read(&clean).unwrap();
    project.write("figures.txt", SLOWER);
    let output = project.run(&["record", "--runs", "1"]);
    assert!(output.stdout.contains("-dirty.json"), "{}", output.stdout);
    assert!(output.stderr.contains("has changes"), "{}", output.stderr);
    assert_eq!(json(output.stdout.trim().as_ref())["dirty"], true);
    assert_eq!(std::fs::read(&clean).unwrap(), before);
}

#[test]
fn a_filter_limits_what_is_measured_and_must_match() {
    let project = Project::new(BEFORE);
    let output = project.run(&["record", "pair", "--runs", "1", "--output", "some.json"]);
    assert_eq!(output.stdout, "some.json\n");
    let record = json(&project.root().join("some.json"));
    assert_eq!(record["filter"], "pair");
    assert_eq!(record["processes"][0]["benchmarks"].as_object().unwrap().len(), 2);
    project
        .run(&["record", "nothing"])
        .assert_rejected("the filter `nothing` matches no benchmark");
    assert!(project.stored().is_empty());
}

#[test]
fn compare_measures_both_commits_interleaved_and_finds_what_changed() {
    let project = Project::new(BEFORE);
    let before = project.git(&["rev-parse", "HEAD"]);
    let after = project.commit_figures(SLOWER);
    // One side has a record already: it is measured again all the same.
    assert_eq!(project.run(&["record", "--runs", "5"]).code, Some(0));
    let arguments = ["records", "main~1", "HEAD", "--seed", "42"];
    let output = project.run(&arguments);
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert_data_eq!(
        &output.stdout,
        str![[r#"
A: main~1 ([..]), 5 processes, [..]
B: HEAD ([..]), 5 processes, [..]

 benchmark              A         B   change         interval  detectable  processes  verdict
 pair/list/16    10.05 ns  12.02 ns  +19.8 %  +19.3 … +20.2 %      +5.8 %        5/5  slower
 pair/system/16  20.10 ns  20.04 ns   -0.2 %    -0.6 … +0.2 %      +5.8 %        5/5  peer
 ring/list/64    3.015 µs  2.004 µs  -33.5 %  -33.7 … -33.2 %      +5.8 %        5/5  faster

3 benchmarks: 1 slower, 1 faster, 1 peer (threshold 5 %).
3 intervals over the medians of 5 and 5 processes, each holding the true change with probability 96.8 %.
By chance alone 0.10 of 3 are expected to miss it: at most 0.05 wrongly called slower, and as many faster.

"#]]
    );
    assert!(output.stderr.contains("not comparable"), "{}", output.stderr);

    // Five of `record`, then rounds of both sides in the order that the seed gives.
    let log = project.log();
    let order: Vec<bool> = log[5..].iter().map(|line| line.ends_with("12.0")).collect();
    let expected = [1, 0, 1, 0, 1, 0, 1, 0, 0, 1].map(|side| side == 1);
    assert_eq!(order, expected);

    // Both records are stored, as of one session, and serve the next time.
    let stored = project.stored();
    assert_eq!(stored.len(), 2);
    assert_eq!(json(&stored[0])["session"], json(&stored[1])["session"]);
    let commits = [json(&stored[0])["commit"].clone(), json(&stored[1])["commit"].clone()];
    assert!(commits.contains(&before.into()) && commits.contains(&after.into()));
    let again = project.run(&arguments);
    assert_eq!((again.code, &again.stdout), (Some(1), &output.stdout));
    assert_eq!(project.log().len(), log.len(), "nothing was measured");
    project.assert_nothing_left();

    // More processes than the records hold, or other settings, need new ones.
    let more = project.run(&["records", "main~1", "HEAD", "--runs", "6"]);
    assert!(more.stderr.contains("holds 5 processes, and 6"), "{}", more.stderr);
    assert_eq!(project.log().len(), log.len() + 12);
    let other = project.run(&["records", "main~1", "HEAD", "--samples", "10"]);
    assert!(other.stderr.contains("other settings"), "{}", other.stderr);
    let fresh = project.run(&["records", "main~1", "HEAD", "--samples", "10", "--fresh"]);
    assert_eq!(fresh.code, Some(1));
    assert_eq!(project.log().len(), log.len() + 12 + 10 + 10);
}

#[test]
fn a_commit_against_itself_is_measured_as_two_sides_and_is_the_same() {
    let project = Project::new(BEFORE);
    project.run(&["record", "--runs", "5"]);
    // Each side is built in a folder of its own, whatever the user's is.
    let shared = project.root().join("target/shared");
    let arguments = ["records", "HEAD", "main", "--format", "json", "--seed", "42"];
    let output = Output::of(project.results(&arguments).env("CARGO_TARGET_DIR", &shared));
    assert!(!shared.exists());
    assert_eq!(output.code, Some(0), "{}\n{}", output.stdout, output.stderr);
    assert_eq!(project.log().len(), 15);
    let comparison: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(comparison["verdicts"]["same"], 2);
    assert_eq!(comparison["notes"], serde_json::json!([]));
    // The record of the side given first is kept: those of seed 42's order that are side 0.
    assert_eq!(project.stored().len(), 1);
    let record = json(&project.stored()[0]);
    let processes = record["processes"].as_array().unwrap();
    let positions: Vec<&Value> = processes.iter().map(|process| &process["position"]).collect();
    assert_eq!(positions, [1, 3, 5, 7, 8]);
    project.assert_nothing_left();
}

#[test]
fn single_processes_have_no_interval_and_cannot_tell() {
    let project = Project::new(BEFORE);
    project.commit_figures(SLOWER);
    let output = project.run(&["records", "HEAD~1", "HEAD", "--runs", "1", "--format", "markdown"]);
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(output.stdout.contains("1 process per side, at least 4 needed"), "{}", output.stdout);
}

#[test]
fn a_missing_benchmark_fails_unless_allowed() {
    let project = Project::new(BEFORE);
    project.commit_figures(&format!("{BEFORE}new/list/1 5.0\n"));
    let output = project.run(&["records", "HEAD~1", "HEAD"]);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stdout.contains("missing in A"), "{}", output.stdout);
    assert_eq!(project.run(&["records", "HEAD~1", "HEAD", "--allow-missing"]).code, Some(0));
    assert_eq!(project.run(&["records", "HEAD~1", "HEAD", "pair"]).code, Some(0));
    project.run(&["records", "HEAD~1", "HEAD", "nothing"]).assert_rejected("matches no benchmark");
}

#[test]
fn a_commit_without_benchmarks_is_rejected_before_anything_is_built() {
    let project = Project::new(BEFORE);
    let manifest = std::fs::read_to_string(project.root().join("Cargo.toml")).unwrap();
    project.write("Cargo.toml", &manifest.replace("\"allocators\"", "\"other\""));
    let without = project.commit();
    let output = project.run(&["records", "HEAD~1", "HEAD"]);
    let sentence = format!("commit {} has no benchmark target `allocators`", &without[..12]);
    output.assert_rejected(&sentence);
    assert!(!output.stderr.contains("building"), "{}", output.stderr);
    project.run(&["record"]).assert_rejected("the working tree has no benchmark target");
    project.assert_nothing_left();
}

#[test]
fn a_commit_that_does_not_build_is_rejected_and_tidied_up_after() {
    let project = Project::new(BEFORE);
    project.write("bench.rs", "fn main() { no_such_function() }");
    project.commit();
    project.run(&["records", "HEAD~1", "HEAD"]).assert_rejected("the benchmarks do not build");
    project.assert_nothing_left();
}

#[test]
fn a_process_that_fails_is_reported_and_what_ran_before_is_kept() {
    let project = Project::new(BEFORE);
    let mut record = project.results(&["record", "--runs", "3"]);
    let output = Output::of(record.env("FAKE_FAIL", "2"));
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("asked to fail"), "{}", output.stderr);
    assert!(output.stderr.contains("2 of 3 processes"), "{}", output.stderr);
    assert!(output.stdout.contains("-partial.json"), "{}", output.stdout);

    let mut compare = project.results(&["records", "HEAD", "HEAD"]);
    Output::of(compare.env("FAKE_FAIL", "2")).assert_rejected("a benchmark process of");
    project.assert_nothing_left();
}

#[test]
fn what_cannot_be_compared_is_rejected() {
    let project = Project::new(BEFORE);
    project.run(&["record", "--runs", "4", "--output", "a.json"]);
    let a = std::fs::read_to_string(project.root().join("a.json")).unwrap();
    let changed = |file: &str, pointer: &str, value: Value| {
        let mut record: Value = serde_json::from_str(&a).unwrap();
        // A measurement of its own, not a copy.
        record["session"]["seed"] = 77.into();
        *record.pointer_mut(pointer).unwrap() = value;
        project.write(file, &record.to_string());
    };
    changed("kernel.json", "/machine/kernel", "0.0".into());
    changed("samples.json", "/settings/samples", 99.into());
    changed("version.json", "/version", 2.into());
    changed("later.json", "/session/seed", 78.into());
    project.write("copy.json", &a);

    let rejected = |a: &str, b: &str, sentence: &str| {
        project.run(&["records", a, b]).assert_rejected(sentence);
    };
    rejected("a.json", "kernel.json", "different machines");
    rejected("a.json", "samples.json", "different settings");
    rejected("a.json", "version.json", "record of version 2, and this program reads version 1");
    rejected("a.json", "a.json", "both sides are the same record");
    rejected("a.json", "./a.json", "both sides are the same record");
    rejected("a.json", "copy.json", "both sides are the same record");
    rejected("a.json", "none.json", "there is no record file none.json");
    rejected("a.json", "bench.rs", "not a record");
    rejected("a.json", "no-such-branch", "neither a record file nor a commit");
    // A side that would have to be measured is rejected before it is.
    rejected("kernel.json", "HEAD", "of another machine");
    project
        .run(&["records", "a.json", "HEAD", "--samples", "50"])
        .assert_rejected("other settings than you ask for");
    assert_eq!(project.log().len(), 4, "nothing was measured");

    let any = project.run(&["records", "a.json", "kernel.json", "--any-machine"]);
    assert_eq!(any.code, Some(3), "{}", any.stderr);
    assert!(any.stdout.contains("The machines differ"), "{}", any.stdout);
    let later = project.run(&["records", "a.json", "later.json"]);
    assert!(later.stdout.contains("were not measured together"), "{}", later.stdout);
}

#[test]
fn a_file_and_a_commit_are_compared_with_the_files_settings() {
    let project = Project::new(BEFORE);
    project.run(&["record", "pair", "--runs", "4", "--samples", "11", "--output", "a.json"]);
    project.commit_figures(SLOWER);
    let output = project.run(&["records", "a.json", "HEAD", "--runs", "4"]);
    // Two sessions: the change is shown, and is no verdict.
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(output.stdout.contains("2 benchmarks: 1 apart, 1 peer"), "{}", output.stdout);
    assert!(output.stdout.contains("were not measured together"), "{}", output.stdout);
    assert_eq!(json(&project.stored()[0])["settings"]["samples"], 11);
}

#[test]
fn an_output_that_cannot_be_written_is_rejected_before_anything_is_measured() {
    let project = Project::new(BEFORE);
    std::os::unix::fs::symlink("elsewhere.json", project.root().join("link.json")).unwrap();
    for (output, sentence) in
        [("target", "no plain file"), ("link.json", "no plain file"), ("lib.rs/x", "cannot write")]
    {
        std::fs::create_dir_all(project.root().join("target")).unwrap();
        project.run(&["record", "--output", output]).assert_rejected(sentence);
    }
    assert_eq!(project.log(), [""; 0], "nothing was measured");
}

#[test]
fn an_interrupted_record_keeps_what_was_finished() {
    let project = Project::new(BEFORE);
    let output = project.run_interrupted_at(2, &["record", "--runs", "5"]);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.contains("2 of 5 processes"), "{}", output.stderr);
    let record = json(output.stdout.trim().as_ref());
    assert_eq!(record["processes"].as_array().unwrap().len(), 2);
    assert!(output.stdout.contains("-partial.json"), "{}", output.stdout);
    project.assert_nothing_left();
}

#[test]
fn an_interrupted_record_without_a_finished_process_writes_nothing() {
    let project = Project::new(BEFORE);
    let output = project.run_interrupted_at(0, &["record"]);
    output.assert_rejected("interrupted before a process was finished");
    assert!(project.stored().is_empty());
}

#[test]
fn an_interrupted_comparison_tells_what_it_can_and_tidies_up() {
    let project = Project::new(BEFORE);
    let output = project.run_interrupted_at(8, &["records", "HEAD", "HEAD"]);
    // All the same, but less than was asked for.
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(output.stdout.contains("2 same"), "{}", output.stdout);
    assert!(output.stdout.contains("A was cut short: 4 of 5"), "{}", output.stdout);
    assert!(project.stored()[0].to_str().unwrap().ends_with("-partial.json"));
    project.assert_nothing_left();
}

#[test]
fn a_comparison_interrupted_too_early_tidies_up() {
    let project = Project::new(BEFORE);
    let output = project.run_interrupted_at(1, &["records", "HEAD", "HEAD"]);
    output.assert_rejected("interrupted before each side had a finished process");
    project.assert_nothing_left();
}

#[test]
fn an_interrupt_while_building_ends_cargo_and_tidies_up() {
    let project = Project::new(BEFORE);
    project.write(
        "build.rs",
        "fn main() {
            let log = std::env::var(\"FAKE_LOG\").unwrap();
            std::fs::write(log.clone() + \".stopped\", \"\").unwrap();
            std::thread::sleep(std::time::Duration::from_secs(4));
            std::fs::write(log, \"the build script lived on\").unwrap();
        }",
    );
    project.commit();
    let output = project.run_interrupted_at(0, &["records", "HEAD", "HEAD"]);
    output.assert_rejected("interrupted");
    project.assert_nothing_left();
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(project.log(), [""; 0]);
}

#[test]
fn what_a_killed_comparison_left_the_next_one_removes() {
    let project = Project::new(BEFORE);
    let killed = project.run_signalled_at(1, "-KILL", &["records", "HEAD", "HEAD"]);
    assert_eq!(killed.code, None, "{}", killed.stderr);
    assert_eq!(std::fs::read_dir(project.tmp()).unwrap().count(), 2, "a folder for each side");
    let next = project.run(&["records", "HEAD", "HEAD", "--runs", "1"]);
    assert_eq!(next.code, Some(3), "{}", next.stderr);
    project.assert_nothing_left();
}

#[test]
fn outside_a_workspace_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let project = Project::new(BEFORE);
    let mut record = project.results(&["record"]);
    Output::of(record.current_dir(folder.path())).assert_rejected("inside the workspace");
}

#[test]
fn a_repository_without_a_commit_is_rejected() {
    let project = Project::new(BEFORE);
    std::fs::remove_dir_all(project.root().join(".git")).unwrap();
    project.run(&["record"]).assert_rejected("in no git repository");
    project.git(&["init", "--quiet"]);
    project.run(&["record"]).assert_rejected("no commit yet");
}

#[test]
fn colour_is_asked_for_or_not() {
    let project = Project::new(BEFORE);
    project.run(&["record", "--runs", "4", "--output", "a.json"]);
    project.write("figures.txt", SLOWER);
    project.run(&["record", "--runs", "4", "--output", "b.json"]);
    let run = |color: &str| project.run(&["records", "a.json", "b.json", "--color", color]).stdout;
    assert!(run("always").contains('\u{1b}'));
    assert!(!run("never").contains('\u{1b}'));
    assert!(!run("auto").contains('\u{1b}'), "stdout is no terminal");
}

#[test]
fn wrong_usage_is_exit_2() {
    let project = Project::new(BEFORE);
    for arguments in [
        &["records", "HEAD"][..],
        &["records", "HEAD", "HEAD", "("],
        &["records", "HEAD", "HEAD", "--threshold", "-3"],
        &["record", "--runs", "0"],
        &["record", "--samples", "3"],
        &[],
    ] {
        let output = project.run(arguments);
        assert_eq!(output.code, Some(2), "{arguments:?}");
        assert_eq!(output.stdout, "", "{arguments:?}");
    }
}
