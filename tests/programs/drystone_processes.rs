//! The engine where processes fork, exit and are interrupted by signals, where threads have little
//! stack or end in rounds, and where reports are many.

use std::io;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::lab::{Lab, Linked};
use crate::served::{self, Account, Ended};

/// Compiles a program of `tests/c` and runs it.
fn run(name: &str, environment: &[(&str, &str)], arguments: &[&str]) -> (Ended, Option<Account>) {
    let lab = Lab::new();
    let program = lab.compile(&format!("tests/c/{name}.c"), Linked::Shared);
    lab.run(&program, environment, arguments)
}

#[track_caller]
fn well(ended: &Ended, stdout: &str) {
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), (stdout, ""));
}

// ---- Reports -----------------------------------------------------------------------------------

/// The room for deferred reports grew into whatever lay behind it.
#[test]
fn deferred_reports_in_any_number_arrive_and_are_counted() {
    let environment = [("DRYSTONE_QUARANTINE", "100M"), ("DRYSTONE_ON_MISUSE", "report")];
    for blocks in [1, 9, 4_097, 6_600, 100_000] {
        let (ended, account) = run("misuse/deferred_reports", &environment, &[&blocks.to_string()]);
        assert!(ended.status.success() && ended.stdout == "wrote\n", "{blocks}: {ended:?}");
        let reports = ended.stderr.lines().filter(|line| {
            line.starts_with("drystone: write after free: 0x") && line.ends_with(", found late")
        });
        assert_eq!((reports.count(), ended.stderr.lines().count()), (blocks, blocks));
        let account = account.expect("the library gives its account");
        assert_eq!(account.number("misuses_late"), blocks as u64);
        assert_eq!(account.text("sound"), "true", "{account:?}");
    }
}

/// A report was written by a cancellation point, and lost to a signal.
#[test]
fn a_report_is_no_cancellation_point_and_survives_a_signal() {
    let environment = [("DRYSTONE_ON_MISUSE", "report")];
    let (ended, _) = run("process/cancelled", &environment, &[]);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stdout, "came back: 1, cancelled: 1\n");
    assert!(ended.stderr.starts_with("drystone: double free: 0x"), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");

    let (ended, _) = run("process/cancelled", &environment, &["piped"]);
    assert!(ended.status.success(), "{ended:?}");
    let [report, end] = ended.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{ended:?}") };
    assert!(report.starts_with("drystone: double free: 0x"), "{ended:?}");
    assert!(report.ends_with(", found at the call"), "{ended:?}");
    assert_eq!(end, "came back: 1, cancelled: 1");
}

// ---- Files -------------------------------------------------------------------------------------

/// The duplicate of stderr, kept for a table, kept a pipe open for a daemon's life.
#[test]
fn a_daemon_lets_go_of_the_stderr_that_it_was_given() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/process/daemon.c", Linked::Shared);
    let mut command = Command::new(program);
    command.env("DRYSTONE_STATS", "1").current_dir(lab.folder());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut started = command.spawn().unwrap();
    // The daemon ends when this is closed: after its stderr was read to the end, or never.
    let leash = started.stdin.take().unwrap();
    let pipe = started.stderr.take().unwrap();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(io::read_to_string(pipe).unwrap()));
    let stderr = receive.recv_timeout(Duration::from_secs(120));
    drop(leash);
    let stderr = stderr.expect("the pipe has an end while the daemon lives");
    assert!(started.wait().unwrap().success(), "{stderr}");
    // The parent, which exits by `_exit`, gives no table, nor does the daemon, which has no stderr.
    assert_eq!(stderr, "");
}

// ---- Fork --------------------------------------------------------------------------------------

/// While the allocator's lock was held for the time of a fork, the C library's locks were waited
/// for.
#[test]
fn a_fork_waits_for_no_thread_that_allocates_under_a_lock_of_the_c_librarys() {
    let (ended, account) = run("calls/streams", &[], &["300"]);
    well(&ended, "no deadlock\n");
    assert_eq!(account.expect("the library gives its account").text("sound"), "true");
}

/// The forking thread waited for a lock that its own interrupted call had.
#[test]
fn a_fork_in_a_signal_handler_waits_for_nothing_and_both_sides_go_on() {
    for act in ["fork", "fork_and_return"] {
        sound_in_all("process/interrupted", &[], &[act, "200"], "all forks\n");
    }
    // Under a quarantine it has a second lock.
    let quarantine = [("DRYSTONE_QUARANTINE", "4M")];
    sound_in_all("process/interrupted", &quarantine, &["fork_and_return", "20"], "all forks\n");
}

/// Nothing keeps other threads out of the critical sections when a process forks: the child makes
/// whole what they left.
#[test]
fn a_child_makes_whole_what_vanished_threads_left_in_mid_change() {
    sound_in_all("process/fork_torn", &[], &["60"], "60 forks\n");
    sound_in_all("process/fork_torn", &[("DRYSTONE_QUARANTINE", "4M")], &["20"], "20 forks\n");
}

/// As [`run`]; the program and all its children that exit find their heaps sound and accuse nobody.
#[track_caller]
fn sound_in_all(name: &str, environment: &[(&str, &str)], arguments: &[&str], stdout: &str) {
    let lab = Lab::new();
    let program = lab.compile(&format!("tests/c/{name}.c"), Linked::Shared);
    let (ended, _) = lab.run(&program, environment, arguments);
    well(&ended, stdout);
    let accounts = lab.accounts();
    assert!(!accounts.is_empty());
    for account in accounts {
        assert_eq!(account.text("sound"), "true", "{account:?}");
        let misuses = account.number("misuses_at_call") + account.number("misuses_late");
        assert_eq!(misuses, 0, "{account:?}");
    }
}

// ---- Exit --------------------------------------------------------------------------------------

/// Judging at exit waited for the lock that the interrupted call had, and could take what that call
/// had in its hands for a misuse.
#[test]
fn an_exit_in_a_signal_handler_ends_and_accuses_nobody() {
    for environment in [&[][..], &[("DRYSTONE_QUARANTINE", "4M")]] {
        for act in ["exit", "exit_others"] {
            let (ended, _) = run("process/interrupted", environment, &[act, "100"]);
            assert!(ended.status.success(), "{ended:?}");
            assert_eq!(ended.stdout, "100 exits\n");
            let no_figures = "drystone: no figures: exit was called in a signal handler that had \
                              interrupted the allocator";
            assert!(ended.stderr.lines().all(|line| line == no_figures), "{ended:?}");
        }
    }
}

/// Judging wrote to each slab's header, and the kernel copied each page of them.
#[test]
fn a_child_that_exits_copies_few_pages() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/process/child_costs.c", Linked::Shared);
    let mut command = Command::new(program);
    command.env_remove("DRYSTONE_STATS").env_remove("DRYSTONE_QUARANTINE");
    let ended = served::run(&mut command, lab.folder(), 120).unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let pages: i64 = ended.stdout.trim().parse().unwrap();
    assert!(pages < 60, "judging at exit costs a forked child {pages} pages");
}

// ---- Threads -----------------------------------------------------------------------------------

/// The thread's heap was left before the program's own keys were at their turn: each block that
/// their destructors freed then took the lock twice.
#[test]
fn frees_in_the_destructors_of_keys_take_no_lock() {
    let (ended, _) = run("process/key_destructors", &[], &[]);
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
    let locked: i64 = ended.stdout.trim().parse().unwrap();
    assert!(locked < 1000, "the lock was taken {locked} times");
}

#[test]
fn the_smallest_stack_will_do_for_every_call() {
    for to in ["1", "/dev/null"] {
        let environment = [("DRYSTONE_ON_MISUSE", "report"), ("DRYSTONE_STATS", to)];
        let (ended, _) = run("memory/small_stack_calls", &environment, &[]);
        assert!(ended.status.success(), "{ended:?}");
        let reports = ended.stderr.matches("drystone: double free: 0x").count();
        assert_eq!(reports, 3, "{ended:?}");
    }
}
