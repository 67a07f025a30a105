//! The tool as its user sees it: arguments, output, exit codes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{PAGES, PLAIN, Tool, ended, faulty, interrupted, json, library, stress, text};
use drystone_harness::fixtures;
use drystone_harness::seed::Seed;
use drystone_harness::stop::Stop;
use drystone_stress::allocators::{linked, process};
use drystone_stress::model::runs::Plan;
use drystone_stress::model::spec::{Length, Spec, Workload};
use drystone_stress::plan::campaign_file;
use drystone_stress::plan::options::Options;
use drystone_stress::runner::campaign;
use drystone_stress::runner::episode::Episodes;
use drystone_stress::runner::progress::Bar;
use drystone_stress::runner::record::{Begin, Writer};
use drystone_stress::runner::supervisor::Supervisor;
use drystone_workloads::trace::{Kind, Op, Trace};
use serde_json::Value;

/// Findings are not to be left in the source.
const STRESS: Tool =
    Tool { always: &["--findings", concat!(env!("CARGO_TARGET_TMPDIR"), "/findings")], ..PLAIN };

/// `cargo stress join`, which keeps no findings.
const JOIN: Tool = Tool { name: &["join"], ..PLAIN };

#[test]
fn list_names_every_allocator_and_workload() {
    let output = STRESS.run(&["--list"]);
    assert_eq!(output.status.code(), Some(0));
    let expected = "\
Allocators (or the path of a shared library, or NAME=PATH):
  linked:list      drystone::ListHeap: best fit, one mutex
  linked:drystone  drystone::Drystone: the production allocator as Rust programs have it
  linked:engine    its engine, watched: a witness in its critical sections, yields between check and store
  system           the C library's own malloc
";
    let list = text(&output.stdout);
    assert!(list.starts_with(expected), "{list}");
    // Libraries that are built or installed here come next.
    let expected = "
Workloads:
  mixed          a randomized mix of all operations, blocks handed between threads; \
sizes log-uniform, 0 B to 1 MiB, rarely larger
                 after sizes: Wilson et al., Dynamic Storage Allocation: A Survey and Critical Review, 1995
                 largest=0  largest common size in bytes, rounded down to a power of two; \
0: 1 KiB or 1 MiB, by the seed
";
    assert!(list.contains(expected), "{list}");
    for workload in Workload::ALL {
        let line = format!("\n  {:<14} {}\n", workload.name(), workload.about());
        assert!(list.contains(&line), "{workload} in:\n{list}");
    }
}

#[test]
fn mistyped_values_are_rejected_with_the_suggested() {
    let allocator = STRESS.usage_error(&["--allocator", "linked:lits"]);
    let expected = "there is no allocator `linked:lits`. Did you mean `linked:list`?";
    assert!(allocator.contains(expected), "{allocator}");
    let workload = STRESS.usage_error(&["--workload", "mixd"]);
    assert!(workload.contains("there is no workload `mixd`. Did you mean `mixed`?"), "{workload}");
    let parameter = STRESS.usage_error(&["--workload", "mixed:larges=1K"]);
    assert!(parameter.contains("Did you mean `largest`?"), "{parameter}");
    assert!(STRESS.usage_error(&["--for", "soon"]).contains("`soon` is no duration"));
    assert!(STRESS.usage_error(&["--seed", "luck"]).contains("`luck` is no seed"));
    assert!(STRESS.usage_error(&["--threads", "0"]).contains("--threads"));
    assert!(STRESS.usage_error(&["--format", "xml"]).contains("json"));
    assert!(STRESS.usage_error(&["--workload", "trace"]).contains("add --trace FILE"));
    assert!(
        STRESS
            .usage_error(&["--trace", "x", "--workload", "mixed"])
            .contains("add --workload trace")
    );
}

#[test]
fn every_allocator_passes_and_the_report_says_what_was_done() {
    let works = ["--workload", "mixed", "--workload", "double-free"];
    let how = ["--for", "8s", "--threads", "3", "--seed", "0x2a"];
    let report = STRESS.report(0, &[&works[..], &how].concat());
    assert_eq!(report["format"], "drystone-stress-report");
    assert_eq!(report["version"], 2);
    assert_eq!(report["seed"], "0x000000000000002a");
    assert_eq!(report["findings"], Value::Array(Vec::new()));
    let runs = report["runs"].as_array().unwrap();
    let names: Vec<_> =
        runs.iter().map(|run| (run["allocator"].clone(), run["workload"].clone())).collect();
    assert_eq!(
        names,
        ["linked:list", "linked:drystone", "linked:engine", "system"]
            .into_iter()
            .flat_map(|allocator| ["mixed", "double-free"]
                .map(|workload| (allocator.into(), workload.into())))
            .collect::<Vec<_>>()
    );
    for run in runs {
        let counts = &run["counts"];
        assert!(counts["operations"].as_u64() > Some(0), "{run}");
        if run["workload"] == "mixed" {
            assert!(counts["bytes_verified"].as_u64() > Some(0), "{run}");
            assert!(counts["hand_offs"].as_u64() > Some(0), "{run}");
            assert!(counts["failed_requests"].as_u64() > Some(0), "{run}");
        } else {
            assert!(counts["double_frees_tried"].as_u64() > Some(0), "{run}");
        }
    }
    // Where double frees were found adds up: for ours, by those reported and those that raced
    // with reuse.
    for (run, deferral_allowed) in [(1, false), (3, true), (5, true)] {
        let counts = &runs[run]["counts"];
        let count = |name: &str| counts[&format!("double_frees_{name}")].as_u64().unwrap();
        let deferred = count("deferred");
        assert_eq!(count("tried"), count("found_at_call") + deferred + count("stale"), "{counts}");
        let places = ["found_at_reuse", "found_at_sweep", "found_at_exit"].map(count);
        assert_eq!(places.iter().sum::<u64>(), deferred, "{counts}");
        assert!(deferral_allowed || deferred == 0, "one lock, and a free found later: {counts}");
    }
    let counts = &runs[7]["counts"];
    let ends = ["died_by_own_report", "crashed", "hung", "silent", "two_owners"];
    let ended: u64 =
        ends.iter().map(|end| counts[format!("double_frees_{end}")].as_u64().unwrap()).sum();
    assert_eq!(counts["double_free_rounds"].as_u64().unwrap(), ended);
}

#[test]
fn a_workloads_parameters_are_set_and_reported() {
    let short = ["--allocator", "system", "--for", "300ms", "--threads", "2"];
    let report =
        STRESS.report(0, &[&short[..], &["--workload", "mixed:largest=64,live=4K"]].concat());
    let run = &report["runs"][0];
    assert_eq!(
        (&run["parameters"]["largest"], &run["parameters"]["live"]),
        (&64.into(), &4096.into())
    );
    // Of blocks as small as these no more bytes can have been read than this.
    let count = |name: &str| run["counts"][name].as_u64().unwrap();
    assert!(count("bytes_verified") < count("operations") * 2_048, "{run}");
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn every_workload_works_on_every_kind_of_allocator_and_finds_nothing() {
    let mut arguments = vec!["--for", "20s", "--threads", "3", "--disturb", "500"];
    for allocator in ["linked:list", "linked:drystone", "system"] {
        arguments.extend(["--allocator", allocator]);
    }
    // The trace has a test of its own, and misuse is not for every allocator; blocks of hundreds of
    // MiB are not for a test's machine.
    let everywhere = |workload: &Workload| !matches!(workload, Workload::Trace | Workload::Misuse);
    for workload in Workload::ALL.iter().copied().filter(everywhere) {
        let text = match workload {
            Workload::Large => "large:largest=4M,live=32M",
            Workload::Lifecycle => "lifecycle:fork=2000,load=500",
            _ => workload.name(),
        };
        arguments.extend(["--workload", text]);
    }
    let report = STRESS.report(0, &arguments);
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 3 * (Workload::ALL.len() - 2));
    for run in runs {
        let count = |name: &str| run["counts"][name].as_u64().unwrap();
        assert!(count("operations") > 0, "{run}");
        if run["workload"] != "double-free" {
            // As fast as it can: it does not touch the bytes.
            let reads = run["workload"] != "steady";
            assert!(count("bytes_verified") > 0 || !reads, "{run}");
            assert!(count("rounds") > 0, "{run}");
            assert_eq!(count("bytes_allocated"), count("bytes_returned"), "{run}");
        }
        if run["workload"] == "lifecycle" {
            // Of what is linked no library knows.
            let library = run["allocator"] == "system";
            assert_eq!(count("libraries_loaded") > 0, library, "{run}");
            for provoked in ["forks", "operations_in_forked_children", "signals", "thread_ends"] {
                assert!(count(provoked) > 0, "{provoked}: {run}");
            }
        }
    }
}

#[test]
fn misuse_is_for_allocators_that_report_and_go_on() {
    let said = STRESS.usage_error(&["--allocator", "system", "--workload", "misuse"]);
    assert!(
        said.contains("workload misuse is for allocators that report a misuse and go on"),
        "{said}"
    );
    assert!(said.contains("system does not"), "{said}");
    // Among all allocators, it is left out by name.
    let work = ["--workload", "misuse:misuse=20", "--for", "4s", "--threads", "3"];
    let arguments = [&work[..], &["--format", "json"]].concat();
    let output = STRESS.run(&arguments);
    let report = json(&output, 0);
    let said = text(&output.stderr);
    assert!(said.contains("left out: ") && said.contains("system does not"), "{said}");
    let runs = report["runs"].as_array().unwrap();
    let allocators: Vec<&str> = runs.iter().map(|run| run["allocator"].as_str().unwrap()).collect();
    assert_eq!(allocators, ["linked:list", "linked:drystone", "linked:engine"]);
    for run in runs {
        let count = |name: &str| run["counts"][name].as_u64().unwrap();
        let reported = count("misuses_reported_at_call") + count("misuses_deferred");
        assert!(count("misuses_planted") > 100 && count("misuses_planted") == reported, "{run}");
    }
}

/// What a preloaded library prints is compared with what was planted.
#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn the_reports_of_a_library_are_read() {
    let place = tempfile::tempdir().unwrap();
    let faults = [
        ("SOUND", None),
        ("SILENT", Some("misuse-missed")),
        ("TWICE", Some("wrong-report")),
        ("MISNAMES", Some("wrong-report")),
    ];
    for (fault, kind) in faults {
        let folder = place.path().join(fault);
        fs::create_dir(&folder).unwrap();
        let flag = format!("-D{fault}");
        // By its name the tool knows a library that reports.
        let library =
            library(&folder, "libdrystone", include_str!("../reports.c"), &["-pthread", &flag]);
        let work = [
            "--workload",
            "misuse:largest=1K,misuse=50",
            "--threads",
            "3",
            "--for",
            "3s",
            "--seed",
            "7",
        ];
        let code = i32::from(kind.is_some());
        let report = STRESS.report(code, &[&["--allocator", &library][..], &work].concat());
        assert_eq!(report["findings"][0]["kind"].as_str(), kind, "{fault}: {report}");
        let counts = &report["runs"][0]["counts"];
        let count = |name: &str| counts[name].as_u64().unwrap();
        assert!(count("misuses_planted") > 0, "{fault}: {report}");
        if kind.is_none() {
            let reported = count("misuses_reported_at_call") + count("misuses_deferred");
            assert_eq!(count("misuses_planted"), reported, "{report}");
        }
    }
}

/// Threads whose first call comes in a destructor, if at all, leave nothing behind that does not go
/// back.
#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn threads_that_end_before_they_have_lived_lose_nothing() {
    let allocators = [
        "--allocator",
        "linked:list",
        "--allocator",
        "linked:drystone",
        "--allocator",
        "linked:engine",
    ];
    let work =
        ["--workload", "lifecycle:fork=0,life=3", "--threads", "2", "--for", "6s", "--seed", "21"];
    let report = STRESS.report(0, &[&allocators[..], &work].concat());
    for run in report["runs"].as_array().unwrap() {
        assert!(run["counts"]["thread_ends"].as_u64() > Some(100), "{run}");
    }
}

/// The lines of a record.
fn lines(record: &Path) -> Vec<Value> {
    let text = fs::read_to_string(record).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_record_watches_the_run_and_shards_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let campaign = path("two.toml");
    let text = "minutes = 0.05\nthreads = 2\nallocators = [\"linked:list\", \"system\"]\n\
                workloads = [\"churn\"]\n";
    fs::write(&campaign, text).unwrap();
    let campaign = campaign.to_str().unwrap();
    let shard = |number: u32| {
        let (shard, record) = (format!("{number}/2"), path(&format!("{number}.jsonl")));
        let record = record.to_str().unwrap().to_owned();
        let arguments =
            ["--campaign", campaign, "--seed", "7", "--shard", &shard, "--record", &record];
        (STRESS.report(0, &arguments), record)
    };
    let (one, first) = shard(1);
    let (two, second) = shard(2);
    let seed = |report: &Value| report["runs"][0]["seed"].clone();
    assert_eq!(one["seed"], two["seed"]);
    assert_ne!(seed(&one), seed(&two), "each shard has seeds of its own");
    let record = lines(Path::new(&first));
    assert_eq!(record[0]["format"], "drystone-stress-record");
    assert_eq!(record.last().unwrap()["line"], "done");
    let samples: Vec<&Value> = record.iter().filter(|line| line["line"] == "sample").collect();
    assert!(samples.len() >= 4, "{record:?}");
    let figures = ["operations_per_second", "live_bytes", "resident_bytes", "minor_faults"];
    for figure in figures {
        assert!(samples[1]["sample"][figure].as_f64() > Some(0.0), "{figure}: {}", samples[1]);
    }
    // Both shards' work, under one plan.
    let joined = JOIN.run(&[&first, &second, "--format", "json"]);
    let joined = json(&joined, 0);
    let operations = |report: &Value| {
        let runs = report["runs"].as_array().unwrap();
        runs.iter().map(|run| run["counts"]["operations"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let sums: Vec<u64> =
        operations(&one).iter().zip(operations(&two)).map(|(one, two)| one + two).collect();
    assert_eq!(operations(&joined), sums);
    // A shard that is missing tells nothing; a record is not written over, nor taken twice.
    let missing = JOIN.run(&[&first]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(text_of(&missing).contains("shard 2/2 is missing"), "{}", text_of(&missing));
    let twice = JOIN.run(&[&first, &first]);
    assert_eq!(twice.status.code(), Some(2));
    assert!(text_of(&twice).contains("another of these records"), "{}", text_of(&twice));
    assert!(STRESS.usage_error(&["--record", &first]).contains("the file is there already"));
    assert!(STRESS.usage_error(&["--shard", "1/2"]).contains("--seed"));
    assert!(text_of(&JOIN.run(&[campaign])).contains("no record"));
}

fn text_of(output: &Output) -> &str {
    text(&output.stderr)
}

#[test]
fn a_killed_runs_record_shows_what_it_had_done() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("killed.jsonl");
    let record = record.to_str().unwrap();
    let mut tool = stress()
        .args(["--allocator", "system", "--workload", "shifting-sizes", "--threads", "2"])
        .args(["--for", "1h", "--record", record])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The first sample of a run of an hour comes after 3.6 s.
    while !fs::read_to_string(record).is_ok_and(|text| text.contains("\"sample\"")) {
        assert!(tool.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(50));
    }
    tool.kill().unwrap();
    tool.wait().unwrap();
    let joined = JOIN.run(&[record, "--format", "json"]);
    ended(&joined, 3);
    let said = text_of(&joined);
    assert!(
        said.contains("was killed: 0 of 1 runs ended, and system, shifting-sizes had done"),
        "{said}"
    );
}

#[test]
fn the_committed_campaigns_are_right_and_last_as_long_as_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("campaigns");
    let mut known = Vec::new();
    known.extend([linked::LIST, linked::DRYSTONE, linked::ENGINE, process::SYSTEM]);
    let files = [("smoke.toml", 1.0), ("ci.toml", 5.0), ("hour.toml", 60.0), ("night.toml", 300.0)];
    for (file, minutes) in files {
        // Libraries are built or installed where the campaign runs; here others stand for them, or
        // nobody.
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let text = text.replace("\"target/release/libdrystone.so\", ", "");
        let text = text.replace("target/release/libdrystone.so", "linked:drystone");
        let text = text.replace("/usr/lib/x86_64-linux-gnu/libmimalloc.so.2", "linked:engine");
        let installed = |line: &&str| line.starts_with("    \"/usr/lib/");
        let text: Vec<_> = text.lines().filter(|line| !installed(line)).collect();
        let text = text.join("\n");
        let copy = tempfile::NamedTempFile::new().unwrap();
        fs::write(copy.path(), text).unwrap();
        let options = fixtures::options::<Options>(&[]).unwrap();
        let folders = fixtures::no_libraries();
        let plan = campaign_file::plan(copy.path(), &options, &known, &folders).unwrap();
        let total: Duration = plan.runs.iter().filter_map(|spec| spec.length.time()).sum();
        let total = total.as_secs_f64() / 60.0;
        assert!((total - minutes).abs() < minutes / 100.0, "{file}: {total} minutes");
        // The hour has none in which something is done wrong, nor forks.
        let left_out = match file {
            "hour.toml" => &[Workload::DoubleFree, Workload::Misuse, Workload::Lifecycle][..],
            _ => &[],
        };
        let others =
            |workload: &&Workload| **workload != Workload::Trace && !left_out.contains(workload);
        for workload in Workload::ALL.iter().filter(others) {
            let has = plan.runs.iter().any(|spec| spec.workload == *workload);
            assert!(has, "{file} leaves {workload} out");
        }
    }
}

#[test]
fn tables_come_in_three_shapes_and_colours_on_demand() {
    let short =
        ["--allocator", "linked:list", "--workload", "mixed", "--for", "300ms", "--threads", "2"];
    let with = |more: &[&str]| STRESS.run(&[&short[..], more].concat());
    let plain = with(&[]);
    ended(&plain, 0);
    let table = text(&plain.stdout);
    assert!(table.contains("calls") && table.contains("verified"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "80 columns do: {table}");
    assert!(!table.contains('\x1b'), "no terminal, no colours");
    assert!(text(&with(&["--color", "always"]).stdout).contains('\x1b'));
    let markdown = with(&["--format", "markdown"]);
    let shown = text(&markdown.stdout);
    assert!(shown.starts_with("### linked:list, 2 threads\n\n| workload"), "{shown}");
    // What is prose goes elsewhere.
    assert!(text(&plain.stderr).starts_with("seed 0x"), "{}", text(&plain.stderr));
}

#[test]
fn ctrl_c_reports_what_was_done() {
    let works = ["--allocator", "linked:list", "--workload", "double-free", "--workload", "mixed"];
    let more = ["--for", "10m", "--format", "json", "--threads", "2"];
    let tool = STRESS.start(&[&works[..], &more].concat());
    // The first run would go on for minutes: once its child works, interrupt it.
    wait_for_work(tool.id());
    let (report, prose) = interrupted(tool, libc::SIGINT);
    assert!(prose.contains("stopped before the end; no finding so far"), "{prose}");
    assert_eq!(report["runs"].as_array().unwrap().len(), 1, "the second run was not begun");
    assert!(report["runs"][0]["counts"]["operations"].as_u64() > Some(0));
}

#[test]
fn ctrl_c_ends_an_allocator_that_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let hanging = faulty(folder.path(), "-DHANGS");
    let works = ["--allocator", &hanging, "--workload", "mixed", "--for", "10m", "--threads", "1"];
    let tool = STRESS.start(&[&works[..], &["--format", "json"]].concat());
    wait_for_work(tool.id());
    let stopped = Instant::now();
    let (report, _) = interrupted(tool, libc::SIGTERM);
    assert!(stopped.elapsed() < Duration::from_secs(30), "{:?}", stopped.elapsed());
    assert_eq!(report["findings"], Value::Array(Vec::new()));
}

#[test]
fn no_copy_of_a_trace_and_no_core_file_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let copies = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.trace");
    let kinds = (0..1_000).flat_map(|block| {
        [Kind::Malloc { block, size: 100 }, Kind::Free { block }].map(|kind| Op { thread: 0, kind })
    });
    Trace::new("made up", kinds.collect()).unwrap().write(&path).unwrap();
    let mut tool = stress()
        .args(["--allocator", "linked:list", "--trace", path.to_str().unwrap(), "--for", "10m"])
        .args(["--threads", "1"])
        .env("TMPDIR", copies.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_work(tool.id());
    let limits = format!("/proc/{}/limits", child_of(tool.id()).unwrap());
    let limits = fs::read_to_string(limits).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
    tool.kill().unwrap();
    tool.wait().unwrap();
    assert_eq!(fs::read_dir(copies.path()).unwrap().count(), 0);
}

/// The process that `tool` has started, if it has one.
fn child_of(tool: u32) -> Option<String> {
    let child = fs::read_to_string(format!("/proc/{tool}/task/{tool}/children")).ok()?;
    let child = child.trim();
    (!child.is_empty()).then(|| child.to_owned())
}

/// Waits until a child of `tool` has used a fifth of a second of processor time: a child is one
/// episode, and on a busy machine it has little more.
fn wait_for_work(tool: u32) {
    let worked = || -> Option<bool> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child_of(tool)?)).ok()?;
        // proc(5): utime is field 14, in ticks of 10 ms; the name in field 2 may hold spaces.
        let (_, fields) = stat.rsplit_once(')')?;
        let ticks: u64 = fields.split_whitespace().nth(11)?.parse().ok()?;
        Some(ticks > 20)
    };
    while worked() != Some(true) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_run_that_did_no_work_fails() {
    let spec = Spec::new("system", Workload::Mixed, 2, Seed(1), Length::Millis(0));
    let plan =
        Plan { seed: Seed(1), shard: None, threads: 2, runs: vec![spec], left_out: Vec::new() };
    let program = PathBuf::from(env!("CARGO_BIN_EXE_drystone-stress"));
    let supervisor = Supervisor { program, ..Supervisor::of_this_binary().unwrap() };
    let length = Duration::from_secs(5);
    let (growth_after, first_only) = (length, false);
    let episodes = Episodes { supervisor, length, findings: None, growth_after, first_only };
    let bar = Bar::new(&plan);
    let record = Writer::begin(None, Begin::new(plan.seed, None, 2, &plan.runs)).unwrap();
    let results = campaign::run(plan, &episodes, &Stop::new(), &bar, record);
    assert_eq!(results.failures, ["system, mixed: the run did no work"]);
}

#[test]
fn a_recorded_program_is_replayed_on_every_allocator() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two threads.trace");
    // Two threads, each of which frees what the other made; one block is never freed.
    let mut ops = vec![Op { thread: 0, kind: Kind::Malloc { block: 0, size: 77 } }];
    for round in 0..2_000u32 {
        let (thread, block) = ((round + 1) % 2, round * 3);
        let kinds = [
            Kind::Realloc { from: block, to: block + 1, size: 5 + round as usize },
            Kind::Calloc { block: block + 2, size: 100 },
            Kind::Free { block: block + 2 },
            Kind::AlignedAlloc { block: block + 3, size: 640, align: 64 },
            Kind::Free { block: block + 1 },
        ];
        ops.extend(kinds.map(|kind| Op { thread, kind }));
    }
    let count = ops.len() as u64;
    Trace::new("made up", ops).unwrap().write(&path).unwrap();
    let path = path.to_str().unwrap();
    let report = STRESS.report(0, &["--trace", path, "--threads", "4"]);
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 4);
    for run in runs {
        assert_eq!(run["workload"], "trace");
        // Two copies at once on four threads, and the block that is left in each is freed.
        assert_eq!(run["counts"]["operations"].as_u64(), Some(2 * (count + 1)), "{run}");
        assert!(run["counts"]["hand_offs"].as_u64() > Some(1_000), "{run}");
    }
    // Rejected before the first run, not when its turn comes.
    let missing = STRESS.usage_error(&[
        "--trace",
        path,
        "--trace",
        "/nowhere/x.trace",
        "--allocator",
        "linked:list",
    ]);
    assert!(missing.contains("/nowhere/x.trace"), "{missing}");
    assert_eq!(missing.lines().count(), 1, "{missing}");
}

#[test]
fn a_list_that_nobody_reads_is_no_panic() {
    for tool in [&[][..], &["bench"], &["conform"], &["programs"]] {
        let list = || {
            let mut command = stress();
            command.args(tool).arg("--list");
            command
        };
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(list().stdout(writer).status().unwrap().code(), Some(0), "{tool:?}");
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = list().stdout(full).stderr(Stdio::piped()).output().unwrap();
        ended(&output, 2);
        let said = text(&output.stderr);
        assert!(said.contains("writing the list") && said.lines().count() == 1, "{said}");
    }
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn the_committed_traces_are_replayed_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../workloads/traces");
    let mut replayed = 0;
    for entry in fs::read_dir(folder).expect("the traces are part of the project") {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "trace") {
            continue;
        }
        let recorded = Trace::read(&path).unwrap();
        // Twice what a pass with each allocator takes on a busy machine, and no more: there are
        // many traces.
        let long = format!("{}s", 12 * (1 + recorded.ops().len() / 250_000));
        let mut arguments = vec!["--trace", path.to_str().unwrap(), "--threads", "2"];
        arguments.extend(["--for", &long]);
        for ours in ["linked:list", "linked:drystone", "linked:engine"] {
            arguments.extend(["--allocator", ours]);
        }
        let report = STRESS.report(0, &arguments);
        for run in report["runs"].as_array().unwrap() {
            let operations = run["counts"]["operations"].as_u64();
            assert!(operations >= Some(recorded.ops().len() as u64), "{run}");
        }
        replayed += 1;
    }
    assert!(replayed >= 10, "{replayed} traces");
}

#[test]
fn a_shared_library_must_serve_malloc_and_all_its_kin() {
    let folder = tempfile::tempdir().unwrap();
    let short = ["--workload", "mixed", "--for", "200ms"];
    let wrong = |name: &str| STRESS.usage_error(&[&["--allocator", name][..], &short].concat());
    assert!(wrong("./nowhere.so").contains("give the path of a shared library"));
    let no_library = folder.path().join("text.so");
    fs::write(&no_library, "not a library").unwrap();
    assert!(wrong(no_library.to_str().unwrap()).contains("is no shared library"));
    let without = library(folder.path(), "without", "int nothing;", &[]);
    let said = wrong(&without);
    assert!(said.contains("was preloaded, and malloc is still"), "{said}");
    let half = library(
        folder.path(),
        "half",
        "#include <stddef.h>\nvoid *__libc_malloc(size_t); \
         void *malloc(size_t n) { return __libc_malloc(n); }",
        &[],
    );
    assert!(wrong(&half).contains("would meet the free of the other"));
}

#[test]
fn a_shared_library_is_stressed_and_its_fault_found() {
    let folder = tempfile::tempdir().unwrap();
    let sound = library(folder.path(), "pages", PAGES, &[]);
    let works = ["--workload", "mixed", "--workload", "double-free"];
    let how = ["--allocator", &sound, "--for", "2s", "--threads", "2"];
    let report_of_sound = STRESS.report(0, &[&works[..], &how].concat());
    let runs = report_of_sound["runs"].as_array().unwrap();
    assert!(runs.iter().all(|run| run["counts"]["operations"].as_u64() > Some(0)));
    // It promises no detection, so what its double frees come to is told and not judged.
    let ended = runs[1]["counts"]["double_frees_crashed"].as_u64().unwrap();
    assert!(ended > 0, "{}", runs[1]);

    let faulty = faulty(folder.path(), "-DMISALIGN");
    let arguments = [
        "--allocator",
        &faulty,
        "--workload",
        "mixed",
        "--for",
        "20s",
        "--threads",
        "2",
        "--first",
    ];
    let report_of_faulty = STRESS.report(1, &arguments);
    let finding = &report_of_faulty["findings"][0];
    assert_eq!(finding["kind"], "misaligned", "{finding}");
    let replay = finding["replay"].as_str().unwrap();
    assert!(replay.starts_with("cargo stress replay "), "{replay}");
    assert!(finding["operation"].as_u64() > Some(0));
}

#[test]
fn prose_is_told_line_by_line_where_there_is_no_terminal() {
    let mut tool = stress()
        .args(["--allocator", "system", "--workload", "mixed", "--for", "300ms", "--threads", "2"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> =
        BufReader::new(tool.stderr.take().unwrap()).lines().map(Result::unwrap).collect();
    assert!(tool.wait().unwrap().success());
    let [_, run, last] = &lines[..] else { panic!("{lines:?}") };
    assert!(run.starts_with("system, mixed: ") && run.ends_with("no finding"), "{run}");
    assert_eq!(last, "no finding");
}
