//! The zoo: each faulty allocator must be found, by the check that is meant for it, and a sound one
//! must not.
//!
//! The binary is its own harness, because it is also the child process: the faulty allocators exist
//! in no other. It takes what cargo passes to tests: names to select by, `--exact`, `--list`; and
//! `--long` for the cases that `.ci/run` adds, `--ignored` for those of every night.

#[path = "zoo/faults.rs"]
mod faults;
#[path = "zoo/injected.rs"]
mod injected;
mod support;
#[path = "zoo/twins.rs"]
mod twins;

use std::ffi::OsString;
use std::process::{Command, ExitCode, Output};
use std::time::{Duration, Instant};
use std::{env, fs};

use drystone_checker::counters::Count;
use drystone_checker::journal::Journal;
use drystone_checker::violation::Kind;
use drystone_harness::seed::Seed;
use drystone_harness::stop::Stop;
use drystone_stress::cmd;
use drystone_stress::findings::store;
use drystone_stress::model::finding::Finding;
use drystone_stress::model::outcome::Outcome;
use drystone_stress::model::spec::{Length, Spec, Workload};
use drystone_stress::replay::{self, Attempts};
use drystone_stress::runner::episode::Episodes;
use drystone_stress::runner::supervisor::Supervisor;
use serde_json::Value;

/// The longest that a fault may go unfound. Found faults end their run at once, in a second or two;
/// the bound is for a machine under load.
const LONGEST: Duration = Duration::from_secs(60);

/// A fault, the workload that shows it, and the check that must find it.
const FOUND: &[(&str, Workload, Kind)] = &[
    ("overlaps", Workload::Mixed, Kind::Overlap),
    ("scribbles", Workload::Mixed, Kind::Identity),
    ("forgets-to-zero", Workload::Mixed, Kind::NotZeroed),
    ("drops-a-free", Workload::Mixed, Kind::Leak),
    ("calls-double-frees-fine", Workload::DoubleFree, Kind::DoubleFreeMissed),
    ("calls-some-double-frees-fine", Workload::DoubleFree, Kind::DoubleFreeMissed),
    ("calls-racing-frees-fine", Workload::DoubleFree, Kind::DoubleFreeMissed),
    ("elides-its-lock", Workload::Mixed, Kind::Exclusion),
    ("elides-its-lock", Workload::DoubleFree, Kind::Exclusion),
    ("unlocks-early", Workload::Mixed, Kind::Exclusion),
    ("misaligns", Workload::Mixed, Kind::Misaligned),
    ("loses-the-prefix", Workload::Mixed, Kind::PrefixLost),
    ("gives-null", Workload::Mixed, Kind::UnprovokedNull),
    ("grants-the-impossible", Workload::Mixed, Kind::ImpossibleGranted),
    ("understates-the-size", Workload::Mixed, Kind::UsableSize),
    ("accuses-the-innocent", Workload::Mixed, Kind::FalseAlarm),
    ("breaks-invariants", Workload::Mixed, Kind::BrokenHeap),
    ("crashes", Workload::Mixed, Kind::Crash),
    ("exits", Workload::Mixed, Kind::Crash),
    ("scribbles", Workload::Churn, Kind::Identity),
    ("overlaps", Workload::Pareto, Kind::Overlap),
    ("forgets-to-zero", Workload::Pareto, Kind::NotZeroed),
    ("understates-the-size", Workload::Stacks, Kind::UsableSize),
    ("accuses-the-innocent", Workload::Queues, Kind::FalseAlarm),
    ("elides-its-lock", Workload::Handoff, Kind::Exclusion),
    ("elides-its-lock", Workload::FalseSharing, Kind::Exclusion),
    ("loses-the-prefix", Workload::ReallocStorm, Kind::PrefixLost),
    ("gives-null", Workload::Sawtooth, Kind::UnprovokedNull),
    ("misaligns", Workload::ShiftingSizes, Kind::Misaligned),
    ("unlocks-early", Workload::ThreadStorm, Kind::Exclusion),
    ("drops-a-free", Workload::ThreadStorm, Kind::Leak),
    ("overlaps", Workload::ForkJoin, Kind::Overlap),
    ("elides-its-lock", Workload::ForkJoin, Kind::Exclusion),
    ("scribbles", Workload::Lifecycle, Kind::Identity),
    ("loses-blocks-at-thread-ends", Workload::Lifecycle, Kind::Leak),
    ("takes-a-signal-for-its-turn", Workload::Lifecycle, Kind::Exclusion),
    ("overlaps", Workload::Misuse, Kind::Overlap),
    ("misses-misuses", Workload::Misuse, Kind::MisuseMissed),
    ("misnames-misuses", Workload::Misuse, Kind::WrongReport),
    ("reports-twice", Workload::Misuse, Kind::WrongReport),
    ("scribbles-when-it-reports", Workload::Misuse, Kind::Identity),
];

/// Faults that show in forked children.
const IN_CHILDREN: &[(&str, Kind)] = &[
    // The lock sees that the child's one thread has it, and ends the process instead of waiting.
    ("is-held-in-the-child", Kind::Crash),
    ("knows-no-forks", Kind::Hang),
    ("gives-null-in-the-child", Kind::UnprovokedNull),
];

/// Faults of the shim that the zoo of the conformance suite is made of, which show in a process's
/// life.
const SHIMS: &[(&str, &str)] =
    &[("FORGETS_FORK", "patience=2,fork=2000,load=0"), ("CALLS_LOADER", "fork=0,load=500")];

/// A name, and what must not panic.
type Case = (String, Box<dyn Fn()>);

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let allocators = [faults::ALLOCATORS, twins::ALLOCATORS, injected::ALLOCATORS].concat();
    if let Some(code) = cmd::child_main(&arguments, &allocators) {
        return code;
    }
    if arguments.get(1).is_some_and(|first| first == TOOL) {
        return cmd::run(arguments[1..].to_vec(), &allocators);
    }
    if arguments.iter().any(|argument| argument == "--ignored") {
        return run(&[
            ("races_are_found_20_of_20".into(), Box::new(|| races_are_found(20)) as Box<dyn Fn()>),
            ("how_often_findings_come_again".into(), Box::new(|| replay_rates(5, 4))),
        ]);
    }
    if arguments.iter().any(|argument| argument == "--long") {
        return run(&long());
    }
    let mut cases: Vec<Case> = Vec::new();
    for &(allocator, workload, kind) in FOUND {
        let name = format!("{workload}_finds_what_{allocator}").replace('-', "_");
        cases.push((name, Box::new(move || is_found(allocator, workload, kind))));
    }
    for &(allocator, kind) in IN_CHILDREN {
        let name = format!("forked_children_show_that_it_{allocator}").replace('-', "_");
        cases.push((name, Box::new(move || is_found_in_a_child(allocator, kind))));
    }
    cases.push(("what_has_no_fork_handlers_is_rejected".into(), Box::new(no_fork_handlers)));
    cases.push(("mixed_finds_what_keeps_memory".into(), Box::new(kept_memory_is_found)));
    cases.push(("a_hang_is_a_finding".into(), Box::new(a_hang_is_a_finding)));
    cases.push(("one_thread_replays_exactly".into(), Box::new(one_thread_replays_exactly)));
    cases.push(("races_are_found".into(), Box::new(|| races_are_found(1))));
    run(&cases)
}

/// Cases of up to a minute each: `.ci/run` runs them.
fn long() -> [Case; 7] {
    [
        ("a_sound_allocator_gives_no_finding".into(), Box::new(no_false_finding)),
        ("a_library_that_is_in_the_way_is_found".into(), Box::new(shims_are_found)),
        ("what_a_linked_heap_loses_at_a_failure_is_found".into(), Box::new(losses_are_found)),
        ("calls_that_are_never_seen_are_no_success".into(), Box::new(unseen_calls)),
        ("a_slow_check_is_told_by_its_cost".into(), Box::new(a_slow_check_costs_most)),
        ("growing_memory_is_found".into(), Box::new(growing_memory_is_found)),
        ("findings_come_again".into(), Box::new(|| replay_rates(1, 2))),
    ]
}

/// The longest that a race may go unfound: the run's length.
const RACE: Duration = Duration::from_secs(10);

/// Each twin's race of two frees, `times` times from as many seeds.
fn races_are_found(times: u64) {
    let (twins, sound) = twins::ALLOCATORS.split_at(4);
    for twin in sound {
        // Without the fault the twin is not found, in a run that did race: on a busy machine that
        // may take several.
        let raced = (0..10).any(|_| {
            let outcome = stress(twin.name, Workload::DoubleFree, 4, RACE / 5);
            assert_eq!(outcome.finding, None);
            outcome.counters[Count::DoubleFreeRoundsRaced] > 0
        });
        assert!(raced, "{}: no two frees raced", twin.name);
    }
    for twin in twins {
        let mut longest = Duration::ZERO;
        for seed in 1..=times {
            let patience = Duration::from_secs(60);
            let outcome =
                stress_seeded(twin.name, Workload::DoubleFree, 4, RACE, Seed(seed), patience);
            longest = longest.max(outcome.elapsed);
            let found = finding(outcome);
            assert_eq!(found.kind, Kind::DoubleFreeMissed, "{found}");
        }
        println!("  {}: {times} of {times}, the longest after {longest:.1?}", twin.name);
    }
}

/// Faults that are found with four threads, and whether the recorded order alone must show them:
/// those that hang on one call, and not on what other threads do meanwhile.
const COME_AGAIN: &[(&str, Workload, bool)] = &[
    ("misaligns", Workload::Mixed, true),
    ("gives-null", Workload::Mixed, true),
    ("forgets-to-zero", Workload::Mixed, true),
    ("loses-the-prefix", Workload::Mixed, true),
    ("accuses-the-innocent", Workload::Mixed, true),
    ("overlaps", Workload::Mixed, false),
    ("scribbles", Workload::Mixed, false),
    ("drops-a-free", Workload::Mixed, true),
    ("crashes", Workload::Mixed, true),
    ("elides-its-lock", Workload::Mixed, false),
    ("unlocks-early", Workload::Mixed, false),
    ("list-torn", Workload::DoubleFree, false),
    ("drystone-torn", Workload::DoubleFree, false),
    ("takes-a-signal-for-its-turn", Workload::Lifecycle, false),
    ("gives-null-in-the-child", Workload::Lifecycle, false),
    ("misses-misuses", Workload::Misuse, false),
];

/// Finds each `times` times from as many seeds, keeps it, and makes it again by its journal and
/// from its seed, `tries` times each.
fn replay_rates(times: u64, tries: u32) {
    let place = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::of_this_binary().unwrap();
    let episodes = Episodes {
        supervisor: supervisor.clone(),
        length: Duration::from_secs(5),
        findings: Some(place.path().to_owned()),
        growth_after: Duration::from_secs(60),
        first_only: true,
    };
    let of = u64::from(tries) * times;
    println!("  fault, workload, by its journal, from its seed, each of {of} (whole: of {times})");
    for &(allocator, workload, by_journal) in COME_AGAIN {
        let (mut recorded, mut free, mut whole) = (0, 0, 0);
        for seed in 7..7 + times {
            let spec = Spec::new(allocator, workload, 4, Seed(seed), Length::of(LONGEST));
            let outcome = episodes.run(&spec, &Stop::new(), &mut |_, _, _| {}).unwrap();
            let (record, journal) = store::read(&finding(outcome).folder.unwrap()).unwrap();
            let again = |journal: Option<&Journal>| {
                let told = &mut |_: &Attempts| {};
                replay::attempt(&supervisor, &record, journal, tries, &Stop::new(), told)
                    .unwrap()
                    .again
            };
            if record.journal_is_whole {
                whole += 1;
                recorded += again(Some(&journal));
            }
            free += again(None);
        }
        println!("  {allocator}, {workload}, {recorded}, {free} ({whole})");
        assert!(free > 0, "{allocator} never came again from its seed");
        assert!(!by_journal || recorded > 0, "{allocator} never came again in its recorded order");
    }
}

/// Runs `allocator` until something is found, or for `length`.
fn stress(allocator: &str, workload: Workload, threads: usize, length: Duration) -> Outcome {
    let seed = Seed(7);
    stress_seeded(allocator, workload, threads, length, seed, Duration::from_secs(60))
}

fn stress_seeded(
    allocator: &str,
    workload: Workload,
    threads: usize,
    length: Duration,
    seed: Seed,
    patience: Duration,
) -> Outcome {
    let spec = Spec::new(allocator, workload, threads, seed, Length::of(length));
    let supervisor = Supervisor { patience, ..Supervisor::of_this_binary().unwrap() };
    supervisor.run(&spec, &Stop::new(), &mut |_, _, _| {}).expect("the harness itself works")
}

fn finding(outcome: Outcome) -> Finding {
    outcome.finding.unwrap_or_else(|| panic!("nothing was found; done: {:?}", outcome.counters))
}

fn is_found(allocator: &str, workload: Workload, kind: Kind) {
    let found = finding(stress(allocator, workload, 4, LONGEST));
    assert_eq!(found.kind, kind, "{found}");
    assert_eq!((found.allocator.as_str(), found.workload), (allocator, workload));
    let command = format!("cargo stress --allocator {allocator} --workload {workload} --threads 4");
    assert!(found.replay().starts_with(&command), "{}", found.replay());
}

/// A child that hangs, or finds something, is told of with its seed, and what it was at.
fn is_found_in_a_child(allocator: &str, kind: Kind) {
    let found = finding(lifecycles(allocator, None, "patience=2,fork=2000"));
    assert_eq!(found.kind, kind, "{found}");
    assert!(found.seen.contains("a forked child (its seed 0x"), "{found}");
    assert!(
        found.rerun().contains("--workload lifecycle:fork=2000,patience=2 "),
        "{}",
        found.rerun()
    );
}

/// A run of workload `lifecycle` on an allocator, or on a library.
fn lifecycles(allocator: &str, library: Option<&str>, settings: &str) -> Outcome {
    let text = format!("lifecycle:{settings}");
    let (workload, settings) = drystone_stress::model::spec::parse_workload(&text).unwrap();
    let library = library.map(std::path::PathBuf::from);
    let spec = Spec::new(allocator, workload, 4, Seed(7), Length::of(LONGEST));
    let spec = Spec { settings, library, ..spec };
    let patience = Duration::from_secs(10);
    let supervisor = Supervisor { patience, ..Supervisor::of_this_binary().unwrap() };
    supervisor.run(&spec, &Stop::new(), &mut |_, _, _| {}).expect("the harness itself works")
}

/// One keeps a lock over a fork; one holds a lock of its own while it calls the loader, which calls
/// it while it holds its.
fn shims_are_found() {
    let place = tempfile::tempdir().unwrap();
    for (fault, settings) in SHIMS {
        let (name, flag) = (fault.to_lowercase(), format!("-D{fault}"));
        let source = include_str!("conform_zoo/faults.c");
        let shim = support::library(place.path(), &name, source, &["-pthread", &flag]);
        let found = finding(lifecycles(&shim, Some(&shim), settings));
        assert_eq!(found.kind, Kind::Hang, "{found}");
    }
}

fn no_fork_handlers() {
    let said = |workload| {
        let what = ["--allocator", "list-sound", "--workload", workload, "--findings"];
        let place = tempfile::tempdir().unwrap();
        let how = [place.path().to_str().unwrap(), "--threads", "2", "--for", "1s", "--seed", "7"];
        let output = run_tool(&[&what[..], &how].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, answer) = said("lifecycle");
    assert_eq!(code, Some(2), "{answer}");
    assert!(answer.contains("list-sound has no fork handlers"), "{answer}");
    assert!(answer.contains("set lifecycle:fork=0"), "{answer}");
    // What the twin makes of resizes is for double frees alone: it may be found, and is not
    // rejected.
    let (code, tried) = said("lifecycle:fork=0");
    assert!(code != Some(2) && !tried.contains("fork handlers"), "{tried}");
}

/// The argument that makes this binary the tool, with the faulty allocators.
const TOOL: &str = "__tool";

fn run_tool(arguments: &[&str]) -> Output {
    let mut tool = Command::new(env::current_exe().unwrap());
    tool.arg(TOOL).args(arguments).env_remove("NO_COLOR").output().expect("the tool starts")
}

/// The report of the first of three runs that finds something: a machine that stands still for
/// seconds sees too little of memory that grows.
fn found_in_three(run: impl Fn() -> Output) -> Value {
    let mut output = run();
    for _ in 1..3 {
        if output.status.code() != Some(0) && output.status.code() != Some(3) {
            break;
        }
        output = run();
    }
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the report is JSON")
}

/// What a heap that keeps one free in 200 comes to while the live set stays as it is, and a sound
/// one does not: as the tool's user sees it, and once more when it is replayed.
fn growing_memory_is_found() {
    let place = tempfile::tempdir().unwrap();
    let findings = place.path().join("findings");
    let watched = |allocator: &str| {
        let small = "shifting-sizes:live=256K,largest=4K,period=1000";
        let what = ["--allocator", allocator, "--workload", small, "--threads", "2"];
        let how = ["--seed", "7", "--for", "15s", "--growth-after", "10s", "--format", "json"];
        let kept = ["--findings", findings.to_str().unwrap()];
        run_tool(&[&what[..], &how, &kept].concat())
    };
    let sound = watched("sound");
    assert_eq!(sound.status.code(), Some(0), "{}", String::from_utf8_lossy(&sound.stderr));
    assert!(!findings.exists());
    let report = found_in_three(|| watched("leaks"));
    assert_eq!(report["findings"][0]["kind"], "growth", "{report}");
    assert!(report["runs"][0]["counts"]["operations"].as_u64() > Some(0), "{report}");
    let folder = report["findings"][0]["folder"].as_str().expect("it is kept");
    let (record, journal) = store::read(folder.as_ref()).unwrap();
    assert_eq!((record.finding.kind, record.calls), (Kind::Growth, 0));
    assert_eq!(journal.entries(), []);
    let replayed = found_in_three(|| run_tool(&["replay", folder, "--format", "json"]));
    let attempts = &replayed["attempts"][0];
    assert_eq!(attempts["way"], "free", "{replayed}");
    assert_eq!((&attempts["tries"], &attempts["again"]), (&1.into(), &1.into()), "{replayed}");
    growth_that_was_mended_does_not_come_again(folder);
}

/// What the folder tells of, on an allocator that is sound: with one thread too that is no proof.
fn growth_that_was_mended_does_not_come_again(folder: &str) {
    let path = std::path::Path::new(folder).join("finding.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["spec"]["allocator"] = "sound".into();
    record["spec"]["threads"] = 1.into();
    record["finding"]["replay_seconds"] = 1.into();
    fs::write(&path, record.to_string()).unwrap();
    let output = run_tool(&["replay", folder]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("it did not come again, which says little"), "{said}");
}

/// Shows at the end of a run only.
fn kept_memory_is_found() {
    let found = finding(stress("keeps-memory", Workload::Mixed, 2, Duration::from_millis(500)));
    assert_eq!(found.kind, Kind::NotGivenBack, "{found}");
}

/// By the order of the figures, which hundreds of times stand between.
fn a_slow_check_costs_most() {
    let arguments = [
        "cost",
        "--quick",
        "--allocator",
        "says-the-size-slowly",
        "--seed",
        "7",
        "--format",
        "json",
    ];
    let output = run_tool(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    let costs = report["allocators"][0]["checks"].as_array().expect("every check has a figure");
    let cost = |check: &&Value| check["nanoseconds"]["median"].as_f64().expect("it was measured");
    let most = costs.iter().max_by(|one, other| cost(one).total_cmp(&cost(other))).unwrap();
    assert_eq!(most["check"], "usable size", "{report}");
}

/// What `cargo stress inject` says of an allocator, and its exit code.
fn inject(allocator: &str, more: &[&str]) -> (Option<i32>, Value) {
    let place = tempfile::tempdir().unwrap();
    let findings = place.path().to_str().unwrap();
    let always =
        ["inject", "--allocator", allocator, "--threads", "3", "--for", "1s", "--format", "json"];
    let output = run_tool(&[&always[..], &["--seed", "7", "--findings", findings], more].concat());
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report["allocators"][0].clone())
}

/// A page that is lost at one failed call, by the heap's own account; and more than an engine's
/// arenas come to, by growth.
fn losses_are_found() {
    let (code, row) = inject("list-loses-none", &["--last", "12"]);
    assert_eq!((code, row["findings"].as_array().map(Vec::len)), (Some(0), Some(0)), "{row}");
    let (code, row) = inject("list-loses-a-page", &["--last", "12"]);
    let finding = &row["findings"][0];
    assert_eq!((code, &finding["kind"]), (Some(1), &"leak".into()), "{row}");
    assert!(finding["expected"].as_str().unwrap().contains("as the heap says"), "{row}");
    // By its accounts, at the first failed call that maps: not by growth.
    assert!(finding["injected"].as_str().unwrap().starts_with("call "), "{row}");
    let (code, row) = inject("engine-loses-mebibytes", &["--last", "1"]);
    let finding = &row["findings"][0];
    assert_eq!((code, &finding["kind"]), (Some(1), &"leak".into()), "{row}");
    assert_eq!(finding["injected"], "one call in 10 to the OS failed by injection", "{row}");
    assert!(row["by_chance_calls"].as_u64() > Some(0), "{row}");
}

fn unseen_calls() {
    let (code, row) = inject("fails-unseen", &[]);
    assert_eq!((code, &row["all"]), (Some(3), &false.into()), "{row}");
    let why = |index: usize| row["cannot_tell"][index].as_str().unwrap_or_default();
    assert!(why(0).contains("in turn: no call to the OS was seen"), "{row}");
    assert!(why(1).contains("by chance: no call to the OS was seen"), "{row}");
}

fn a_hang_is_a_finding() {
    let patience = Duration::from_secs(3);
    let outcome = stress_seeded("hangs", Workload::Mixed, 2, LONGEST, Seed(7), patience);
    let found = finding(outcome);
    assert_eq!(found.kind, Kind::Hang, "{found}");
    assert!(found.seen.contains("malloc"), "the report says what the workers were at: {found}");
}

fn no_false_finding() {
    use Count::{
        DoubleFrees, EndOperations, ForkedOperations, Forks, HandOffs, Signals, ThreadEnds,
    };
    let provoked: &[(Workload, &[Count])] = &[
        (Workload::Mixed, &[HandOffs]),
        (Workload::DoubleFree, &[DoubleFrees]),
        (
            Workload::Lifecycle,
            &[HandOffs, Forks, ForkedOperations, Signals, ThreadEnds, EndOperations],
        ),
        (Workload::Misuse, &[Count::Misuses, Count::MisusesAtCall]),
    ];
    for &(workload, counts) in provoked {
        let outcome = stress("sound", workload, 4, Duration::from_secs(3));
        assert_eq!(outcome.finding, None);
        assert!(outcome.worked() && outcome.counters[Count::HeapChecks] > 0);
        assert!(counts.iter().all(|&count| outcome.counters[count] > 0), "{:?}", outcome.counters);
        let reported =
            outcome.counters[Count::MisusesAtCall] + outcome.counters[Count::MisusesDeferred];
        assert_eq!(reported, outcome.counters[Count::Misuses]);
    }
}

fn one_thread_replays_exactly() {
    // Faults that count calls. One that hangs on addresses, which the OS draws, may come elsewhere.
    for allocator in ["misaligns", "gives-null", "accuses-the-innocent"] {
        let first = finding(stress(allocator, Workload::Mixed, 1, LONGEST));
        let again = finding(stress(allocator, Workload::Mixed, 1, LONGEST));
        assert!(first.operation.is_some());
        assert_eq!((first.kind, first.operation), (again.kind, again.operation));
        // The command repeats the run from its beginning, whichever round it came to.
        assert!(first.round.is_some() && first.round == again.round);
        assert_eq!(first.seed, Seed(7));
        assert!(first.replay().contains(" --seed 0x0000000000000007 "), "{}", first.replay());
    }
}

/// Runs the cases that the arguments select, one after the other: each has threads enough.
fn run(cases: &[Case]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let exact = arguments.iter().any(|argument| argument == "--exact");
    let names: Vec<&String> = arguments.iter().filter(|name| !name.starts_with('-')).collect();
    let selected = |case: &str| {
        let matches =
            |name: &&String| if exact { case == **name } else { case.contains(name.as_str()) };
        names.is_empty() || names.iter().any(matches)
    };
    let chosen: Vec<_> = cases.iter().filter(|(name, _)| selected(name)).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let mut failed = 0;
    for (name, case) in &chosen {
        let began = Instant::now();
        let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(case)).is_ok();
        let verdict = if passed { "ok" } else { "FAILED" };
        println!("test {name} ... {verdict} ({:.1} s)", began.elapsed().as_secs_f64());
        failed += usize::from(!passed);
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let (passed, filtered) = (chosen.len() - failed, cases.len() - chosen.len());
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; \
         {filtered} filtered out\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
