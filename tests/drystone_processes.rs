//! The engine where processes fork, exit and are interrupted by signals, where threads have little
//! stack or end in rounds, and where reports are many.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/served.rs"]
mod served;
mod support;

use std::io;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lab::{Lab, Linked};
use served::{Account, Ended};

/// Compiles `tests/c/NAME.c` and runs it.
fn run(
    name: &str,
    environment: &[(&str, &str)],
    arguments: &[&str],
) -> (Ended, Option<Account>) {
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

/// The room for late reports grew into whatever lay behind it.
#[test]
fn late_reports_in_any_number_arrive_and_are_counted() {
    let environment =
        [("DRYSTONE_QUARANTINE", "100M"), ("DRYSTONE_ON_MISUSE", "report")];
    for blocks in [1, 9, 4_097, 6_600, 100_000] {
        let (ended, account) = run("late_reports", &environment, &[&blocks.to_string()]);
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
    let (ended, _) = run("cancelled", &environment, &[]);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stdout, "came back: 1, cancelled: 1\n");
    assert!(ended.stderr.starts_with("drystone: double free: 0x"), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");

    let (ended, _) = run("cancelled", &environment, &["piped"]);
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
    let program = lab.compile("tests/c/daemon.c", Linked::Shared);
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
