//! Programs that press on the engine's edges: long thread ends, little address space, valgrind, and
//! the mistakes that only a quarantine finds.

use std::process::Command;

use crate::lab::{Lab, Linked, SHARED};
use crate::served::{self, Ended};
use crate::support;

#[track_caller]
fn well(ended: &Ended, stdout: &str) {
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), (stdout, ""));
}

#[test]
fn threads_allocate_and_free_while_they_are_torn_down() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/process/teardown.c", Linked::Shared);
    let run = |quarantine: &str| {
        let (ended, account) = lab.run(&program, &[("DRYSTONE_QUARANTINE", quarantine)], &[]);
        well(&ended, "2000 threads ended in 3 rounds\n");
        let account = account.expect("the library served it, and gives its account");
        assert_eq!(account.text("sound"), "true", "{account:?}");
        assert_eq!(account.number("misuses_at_call") + account.number("misuses_late"), 0);
        account
    };
    let account = run("0");
    // Of 2,000 threads' blocks nothing is left but what the C library keeps.
    assert!(account.number("live_blocks") < 50, "{account:?}");
    // The heaps of the last four threads: a slab in each of 75 classes, of which others freed most
    // blocks, and which nobody has looked at since.
    assert!(account.number("mapped_bytes") < 72 << 20, "{account:?}");
    run("100000");
}

#[test]
fn a_program_works_in_half_a_gibibyte_of_address_space() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/memory/tight.c", Linked::Shared);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -v 524288 && exec \"$0\""]).arg(&program);
    shell.env_remove("DRYSTONE_STATS");
    let ended = served::run(&mut shell, lab.folder(), 120).unwrap();
    well(&ended, "all granted\n");
}

/// Valgrind runs the library's own code, system calls and thread-local words included, and has
/// nothing to say of it. (It is told not to put its own malloc in the place of ours.)
#[test]
fn valgrind_finds_no_error_in_it() {
    if !support::has("valgrind", "valgrind") {
        return;
    }
    let lab = Lab::new();
    for (source, lines) in [("examples/hello.c", 4), ("tests/c/memory/tight.c", 1)] {
        let program = lab.compile(source, Linked::Shared);
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--quiet", "--error-exitcode=9", "--soname-synonyms=somalloc=nowhere"]);
        valgrind.arg(&program).env_remove("DRYSTONE_STATS");
        let ended = served::run(&mut valgrind, lab.folder(), 120)
            .unwrap_or_else(|error| panic!("{error}: install Debian's package valgrind"));
        assert!(ended.status.success() && ended.stderr.is_empty(), "{source}: {ended:?}");
        assert_eq!(ended.stdout.lines().count(), lines, "{source}");
    }
}

// ---- The quarantine ----------------------------------------------------------------------------

/// Runs one of the mistakes of `tests/c/misuse/quarantine.c` under a quarantine of `bytes`.
fn mistake(name: &str, bytes: &str) -> (Ended, served::Account) {
    let lab = Lab::new();
    let program = lab.compile("tests/c/misuse/quarantine.c", Linked::Shared);
    let environment = [("DRYSTONE_QUARANTINE", bytes), ("DRYSTONE_ON_MISUSE", "report")];
    let (ended, account) = lab.run(&program, &environment, &[name]);
    assert!(ended.status.success() && ended.stdout.ends_with("went on\n"), "{name}: {ended:?}");
    let account = account.expect("the library gives its account");
    assert_eq!(account.text("sound"), "true", "{name}: {account:?}");
    (ended, account)
}

const LIMIT: &str = "8388608";

/// A program can allocate before the C library knows the environment; the quarantine is there from
/// `main` on.
#[test]
fn a_program_that_allocates_before_it_has_an_environment_gets_its_quarantine() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/process/early.c", Linked::Shared);
    let environment = [("DRYSTONE_QUARANTINE", LIMIT), ("DRYSTONE_ON_MISUSE", "report")];
    let (ended, _) = lab.run(&program, &environment, &[]);
    assert!(ended.status.success() && ended.stdout == "went on\n", "{ended:?}");
    assert!(ended.stderr.starts_with("drystone: double free: 0x"), "{ended:?}");
    assert!(ended.stderr.ends_with(", found at the call\n"), "{ended:?}");
}

#[test]
fn a_double_free_behind_a_thousand_others_is_found_at_the_call() {
    for name in ["delayed", "delayed_huge", "resized_after_free", "by_two_threads"] {
        let (ended, account) = mistake(name, LIMIT);
        assert_eq!(account.number("misuses_at_call"), 1, "{name}: {ended:?}");
        assert_eq!(account.number("misuses_late"), 0, "{name}: {ended:?}");
        assert!(ended.stderr.starts_with("drystone: double free: 0x"), "{name}: {ended:?}");
        assert!(ended.stderr.ends_with(", found at the call\n"), "{name}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{name}: {ended:?}");
    }
}

#[test]
fn a_write_after_a_free_is_found_late_with_its_address() {
    for name in ["written_after_free", "written_after_free_in_huge", "written_after_realloc"] {
        let (ended, account) = mistake(name, LIMIT);
        assert_eq!(account.number("misuses_late"), 1, "{name}: {ended:?}");
        let address = ended.stdout.lines().next().unwrap();
        let begins = format!("drystone: write after free: {address}, in a free block of ");
        assert!(ended.stderr.starts_with(&begins), "{name}: {ended:?}");
        assert!(ended.stderr.ends_with(", found late\n"), "{name}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{name}: {ended:?}");
    }
}

#[test]
fn blocks_wait_first_in_first_out_within_the_limit() {
    let (ended, account) = mistake("bounded", "1048576");
    assert_eq!(ended.stderr, "");
    assert_eq!(account.number("misuses_at_call") + account.number("misuses_late"), 0);
}

#[test]
fn a_correct_program_is_not_accused_under_quarantine_and_a_bad_setting_is_named() {
    let (ended, account) = mistake("correct", LIMIT);
    assert_eq!(ended.stderr, "");
    assert_eq!(account.number("misuses_at_call") + account.number("misuses_late"), 0);
    let (ended, _) = mistake("correct", "plenty");
    assert_eq!(
        ended.stderr,
        "drystone: DRYSTONE_QUARANTINE must be a size in bytes, such as 65536, 64K or 16M; \
         there is no quarantine\n"
    );
}

/// Without it, what only it finds goes unseen: the tests above test the quarantine.
#[test]
fn off_it_finds_nothing() {
    for name in ["written_after_free", "written_after_realloc"] {
        let (ended, account) = mistake(name, "0");
        assert_eq!(ended.stderr, "", "{name}");
        assert_eq!(account.number("misuses_at_call") + account.number("misuses_late"), 0);
    }
    assert!(SHARED.exists());
}
