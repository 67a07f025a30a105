//! Guarded blocks: `tests/c/misuse/guard.c`, an act in each process.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use crate::lab::{Lab, Linked};
use crate::served::Ended;

static LAB: LazyLock<Lab> = LazyLock::new(Lab::new);
static PROGRAM: LazyLock<PathBuf> =
    LazyLock::new(|| LAB.compile("tests/c/misuse/guard.c", Linked::Shared));

/// Runs an act where every block that can be is guarded.
fn act(name: &str) -> Ended {
    let lab = Lab::new();
    let guarded = [("DRYSTONE_GUARD", "1"), ("DRYSTONE_ON_MISUSE", "report")];
    lab.run(&PROGRAM, &guarded, &[name]).0
}

/// The lines of ours; behind them stand those of the stacks.
fn lines(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().filter_map(|line| line.strip_prefix("drystone: ")).collect()
}

/// An act ends by a fault, and the lines say which, and where the block was allocated and freed.
#[track_caller]
fn faults(name: &str, mistake: &str, place: &str, stacks: &[&str]) {
    let ended = act(name);
    assert_eq!(ended.status.signal(), Some(libc::SIGSEGV), "{name}: {ended:?}");
    let lines = lines(&ended);
    assert!(lines[0].starts_with(&format!("{mistake} 0x")), "{name}: {lines:?}");
    assert!(lines[0].contains(&format!(", {place} block of 4000 bytes, in process ")), "{lines:?}");
    let named: Vec<&str> = lines[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(named, stacks, "{name}");
    // The program's own functions are in each stack.
    let program = PROGRAM.to_str().unwrap();
    for stack in ended.stderr.split("drystone: ").skip(2) {
        let named = |line: &str| line.trim_start().starts_with(program);
        assert!(stack.lines().skip(1).any(named), "{name}: {stack}");
    }
}

#[test]
fn an_access_outside_a_guarded_block_faults_and_is_named() {
    let live = &["the access", "allocated"];
    faults("overflow", "overflow: write to", "0 bytes after a live", live);
    faults("far_overflow", "overflow: read of", "5000 bytes after a live", live);
    faults("underflow", "underflow: read of", "1 bytes before a live", live);
    let freed = &["the access", "allocated", "freed"];
    faults("use_after_free", "use after free: read of", "8 bytes inside a freed", freed);
    faults("write_after_free", "use after free: write to", "8 bytes inside a freed", freed);
    faults("use_after_realloc", "use after free: read of", "8 bytes inside a freed", freed);
}

#[test]
fn a_misuse_of_a_guarded_block_is_reported_with_its_history() {
    for (name, line, stacks) in [
        ("double_free", "double free: 0x", 2),
        ("interior", "interior pointer: 0x", 1),
        ("beside", "write out of bounds: 0x", 2),
        ("wrong_size", "size mismatch: 0x", 1),
    ] {
        let ended = act(name);
        let lines = lines(&ended);
        assert!(ended.status.success(), "{name}: {ended:?}");
        assert!(
            lines[0].starts_with(line) && lines[0].contains("block of 4000 bytes"),
            "{lines:?}"
        );
        assert_eq!(lines.len(), 1 + stacks, "{name}: {lines:?}");
    }
}

#[test]
fn right_programs_run_as_without_guards() {
    for name in ["right", "forks"] {
        let ended = act(name);
        assert!(ended.status.success(), "{name}: {ended:?}");
        assert_eq!((&*ended.stdout, &*ended.stderr), ("right\n", ""), "{name}");
    }
}

#[test]
fn a_program_keeps_its_handlers() {
    let handled = act("handler");
    assert!(handled.status.success() && handled.stdout == "handled\n", "{handled:?}");
    assert!(handled.stderr.contains("use after free: "), "{handled:?}");
    let jumps = act("jumps");
    assert!(jumps.status.success() && jumps.stdout == "right\n", "{jumps:?}");
    assert_eq!(jumps.stderr.matches("use after free: ").count(), 3, "{jumps:?}");
    let other = act("other_fault");
    assert_eq!(other.status.signal(), Some(libc::SIGSEGV), "{other:?}");
    assert_eq!(other.stderr, "");
}
