//! The variables of the environment mean the same in a C program with the library preloaded and in
//! a Rust program with the global allocator. The Rust program is this one, started again to run one
//! of the ignored tests.

#[path = "support/lab.rs"]
mod lab;
#[path = "support/served.rs"]
mod served;
mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::thread;

use drystone::internals::process::{calls, environment};
use drystone::policy::{self, Policy};
use drystone::{BlockState, Drystone, Found, Misuse, MisuseKind};
use lab::{Lab, Linked, SHARED};
use served::{Account, Ended};

#[global_allocator]
static HEAP: Drystone = Drystone;

/// The two kinds of programs.
#[derive(Clone, Copy, Debug)]
enum Kind {
    C,
    Rust,
}

const BOTH: [Kind; 2] = [Kind::C, Kind::Rust];

/// A thing that both can do.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Allocates and frees, and makes no mistake.
    Well,
    /// Frees a block twice, and ends, in a thread with a small stack.
    SmallStack,
    /// Frees a block twice, behind a thousand others.
    Delayed,
    /// Writes into a freed block.
    WrittenAfterFree,
    /// The same, not among a process's first calls.
    GuardedWrite,
}

static LAB: LazyLock<Lab> = LazyLock::new(Lab::new);

/// The programs in C.
static PROGRAMS: LazyLock<[PathBuf; 4]> = LazyLock::new(|| {
    [
        // It calls functions that only the library has.
        LAB.compile("examples/hello.c", Linked::Shared),
        LAB.compile("tests/c/memory/small_stack.c", Linked::Plain),
        LAB.compile("tests/c/misuse/quarantine.c", Linked::Plain),
        LAB.compile("tests/c/misuse/guard.c", Linked::Plain),
    ]
});

/// The program that does `act`, without an environment.
fn program(kind: Kind, act: Act) -> Command {
    match kind {
        Kind::C => {
            let (program, argument) = match act {
                Act::Well => (&PROGRAMS[0], None),
                Act::SmallStack => (&PROGRAMS[1], None),
                Act::Delayed => (&PROGRAMS[2], Some("delayed")),
                Act::WrittenAfterFree => (&PROGRAMS[2], Some("written_after_free")),
                Act::GuardedWrite => (&PROGRAMS[3], Some("write_after_free")),
            };
            let mut command = Command::new(program);
            command.args(argument).env_clear().env("LD_PRELOAD", &*SHARED);
            command
        }
        Kind::Rust => {
            let name = match act {
                Act::Well => "program_that_does_well",
                Act::SmallStack => "program_with_a_small_stack",
                Act::Delayed => "program_that_frees_twice_behind_others",
                Act::WrittenAfterFree | Act::GuardedWrite => "program_that_writes_after_a_free",
            };
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
            command.env_clear();
            command
        }
    }
}

fn run(kind: Kind, act: Act, environment: &[(&str, &str)]) -> Ended {
    let mut command = program(kind, act);
    command.envs(environment.iter().copied());
    served::run(&mut command, LAB.folder(), 600).unwrap()
}

/// As [`run`], with figures to a file; returns the account that the process gave.
fn counted(kind: Kind, act: Act, environment: &[(&str, &str)]) -> (Ended, Account) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stats");
    let mut command = program(kind, act);
    command.envs(environment.iter().copied()).env("DRYSTONE_STATS", &file);
    let ended = served::run(&mut command, LAB.folder(), 600).unwrap();
    let mut accounts = Account::all(&file);
    assert_eq!(accounts.len(), 1, "{kind:?}, {act:?}: {ended:?}");
    (ended, accounts.remove(0))
}

// ---- The programs in Rust
// ------------------------------------------------------------------------

const LAYOUT: Layout = Layout::new::<[u64; 12]>();

/// A block of the heap.
fn block() -> *mut u8 {
    // SAFETY: the layout is not empty.
    let block = unsafe { HEAP.alloc(LAYOUT) };
    assert!(!block.is_null());
    block
}

#[test]
#[ignore = "a program that other tests run"]
fn program_that_does_well() {
    let words: BTreeSet<String> = (0..1000).map(|number| number.to_string()).collect();
    let mut grown = vec![0u8; 10];
    grown.resize(10_000, 1);
    assert_eq!(words.len(), 1000);
}

#[test]
#[ignore = "a program that other tests run"]
fn program_with_a_small_stack() {
    let small = thread::Builder::new().stack_size(16 << 10);
    let thread = small.spawn(|| {
        // SAFETY: gettid takes nothing.
        println!("\n{} {}", std::process::id(), unsafe { libc::syscall(libc::SYS_gettid) });
        let block = block();
        // SAFETY: the block is live at the first, and nothing is asked of the second.
        unsafe {
            HEAP.dealloc(block, LAYOUT);
            HEAP.dealloc(block, LAYOUT);
        }
        std::process::exit(0);
    });
    thread.unwrap().join().unwrap();
}

#[test]
#[ignore = "a program that other tests run"]
fn program_that_frees_twice_behind_others() {
    let twice = block();
    // SAFETY: live.
    unsafe { HEAP.dealloc(twice, LAYOUT) };
    let others: Vec<_> = (0..1024).map(|_| block()).collect();
    assert!(
        !others.contains(&twice),
        "without a quarantine the next free would be another block's"
    );
    for other in others {
        // SAFETY: live.
        unsafe { HEAP.dealloc(other, LAYOUT) };
    }
    // SAFETY: it waits: no block is there.
    unsafe { HEAP.dealloc(twice, LAYOUT) };
}

#[test]
#[ignore = "a program that other tests run"]
fn program_that_writes_after_a_free() {
    let block = block();
    // SAFETY: live at the first. The write is not sound for a program; the bytes are mapped.
    unsafe {
        HEAP.dealloc(block, LAYOUT);
        block.add(40).write_volatile(1);
    }
}

#[test]
#[ignore = "a program that other tests run"]
fn program_that_reports_and_counts() {
    let misuse = Misuse {
        kind: MisuseKind::DoubleFree,
        address: 0x1000,
        size: Some(64),
        state: BlockState::Free,
        found: Found::AtCall,
    };
    policy::set(Policy::Report);
    let calls_of = |act: &dyn Fn()| {
        let before = calls::sum();
        act();
        calls::sum() - before
    };
    let report = calls_of(&|| policy::misuse(&misuse));
    let table = calls_of(&|| Drystone.account().print(Drystone.engine()));
    let one_box = calls_of(&|| drop(std::hint::black_box(Box::new(1))));
    println!("calls: {report} {table} {one_box}");
}

// ---- What they are told, and say
// -----------------------------------------------------------------

#[test]
fn a_report_names_the_process_and_the_thread_and_needs_little_stack() {
    for kind in BOTH {
        let ended = run(kind, Act::SmallStack, &[("DRYSTONE_ON_MISUSE", "report")]);
        assert!(ended.status.success(), "{kind:?}: {ended:?}");
        let mut numbers = ended.stdout.lines().filter_map(|line| {
            let (process, thread) = line.split_once(' ')?;
            Some((process.parse::<u32>().ok()?, thread.parse::<u32>().ok()?))
        });
        let (process, thread) = numbers.next().unwrap_or_else(|| panic!("{kind:?}: {ended:?}"));
        assert_ne!(process, thread, "it is not the first thread");
        let line = ended.stderr.strip_prefix("drystone: double free: 0x").unwrap();
        let named = format!(", in process {process}, thread {thread}, found at the call\n");
        assert!(line.ends_with(&named), "{kind:?}: {line}");
        assert_eq!(line.lines().count(), 1, "{kind:?}: {line}");
    }
}

#[test]
fn figures_mean_the_same_in_both() {
    for kind in BOTH {
        let (ended, account) = counted(kind, Act::Well, &[]);
        assert!(ended.status.success() && ended.stderr.is_empty(), "{kind:?}: {ended:?}");
        assert_eq!(account.text("sound"), "true");
        let of_functions: u64 = calls::NAMES.iter().map(|name| account.number(name)).sum();
        assert_eq!(account.number("calls"), of_functions, "{account:?}");
        let own: &[&str] = match kind {
            Kind::C => &["malloc", "free", "reallocarray", "aligned_alloc"],
            Kind::Rust => &["alloc", "alloc_zeroed", "dealloc", "realloc"],
        };
        assert!(own.iter().all(|name| account.number(name) > 0), "{account:?}");
        let ended = run(kind, Act::Well, &[("DRYSTONE_STATS", "1")]);
        for begins in ["drystone: process ", "  calls ", "  live_blocks ", "  the heap is sound"] {
            let line = ended.stderr.lines().find(|line| line.starts_with(begins));
            assert!(line.is_some(), "{kind:?}, {begins}: {}", ended.stderr);
        }
        for nothing in ["", "0"] {
            assert_eq!(run(kind, Act::Well, &[("DRYSTONE_STATS", nothing)]).stderr, "");
        }
    }
}

/// In Rust a thousand strings are allocated and freed, and a vector is resized, each counted once.
#[test]
fn a_rust_programs_calls_are_all_counted() {
    let (_, account) = counted(Kind::Rust, Act::Well, &[]);
    assert!(account.number("alloc") > 1000 && account.number("dealloc") > 1000, "{account:?}");
    assert!(account.number("alloc") < 10_000, "{account:?}");
    assert_eq!(account.number("malloc") + account.number("free"), 0, "{account:?}");
}

#[test]
fn a_table_of_figures_is_given_from_a_small_stack() {
    for kind in BOTH {
        let environment = [("DRYSTONE_ON_MISUSE", "ignore"), ("DRYSTONE_STATS", "1")];
        let ended = run(kind, Act::SmallStack, &environment);
        assert!(ended.status.success(), "{kind:?}: {ended:?}");
        let begins = ended.stderr.starts_with("drystone: process ");
        assert!(begins && ended.stderr.ends_with("the heap is sound\n"), "{kind:?}: {ended:?}");
    }
}

#[test]
fn a_quarantine_means_the_same_in_both_and_its_size_takes_units() {
    for kind in BOTH {
        for size in ["8388608", "8192K", "8M", "8m", "1G"] {
            let environment = [("DRYSTONE_QUARANTINE", size), ("DRYSTONE_ON_MISUSE", "report")];
            let (ended, account) = counted(kind, Act::Delayed, &environment);
            assert!(ended.status.success(), "{kind:?}, {size}: {ended:?}");
            assert_eq!(account.number("misuses_at_call"), 1, "{kind:?}, {size}: {ended:?}");
            assert!(ended.stderr.starts_with("drystone: double free: 0x"), "{ended:?}");
            let (ended, account) = counted(kind, Act::WrittenAfterFree, &environment);
            assert_eq!(account.number("misuses_late"), 1, "{kind:?}, {size}: {ended:?}");
            assert!(ended.stderr.starts_with("drystone: write after free: 0x"), "{ended:?}");
        }
        for nothing in ["", "0", "0M"] {
            let (ended, account) = counted(kind, Act::Well, &[("DRYSTONE_QUARANTINE", nothing)]);
            assert_eq!((ended.stderr.as_str(), account.text("sound")), ("", "true"));
        }
    }
}

#[test]
fn a_guarded_block_means_the_same_in_both() {
    for kind in BOTH {
        let ended = run(kind, Act::GuardedWrite, &[("DRYSTONE_GUARD", "1")]);
        assert_eq!(ended.status.signal(), Some(libc::SIGSEGV), "{kind:?}: {ended:?}");
        assert!(ended.stderr.contains("drystone: use after free: write to 0x"), "{ended:?}");
        let (ended, account) = counted(kind, Act::Well, &[("DRYSTONE_GUARD", "1")]);
        assert_eq!((ended.stderr.as_str(), account.text("sound")), ("", "true"), "{kind:?}");
    }
}

#[test]
fn a_mistake_in_a_variable_is_said_once() {
    let cases = [
        (
            "DRYSTONE_STAT",
            "1",
            "DRYSTONE_STAT is no variable of Drystone's, and has no effect; DRYSTONE_HELP=1 lists \
             them",
        ),
        (
            "DRYSTONE_STATS",
            "here",
            "DRYSTONE_STATS must be 1 or an absolute path; no figures at exit",
        ),
        (
            "DRYSTONE_STATS",
            "/nowhere/at/all",
            "DRYSTONE_STATS names a file that can't be written, error 2: /nowhere/at/all",
        ),
        (
            "DRYSTONE_QUARANTINE",
            "16MB",
            "DRYSTONE_QUARANTINE must be a size in bytes, such as 65536, 64K or 16M; \
             there is no quarantine",
        ),
        (
            "DRYSTONE_ON_MISUSE",
            "shrug",
            "DRYSTONE_ON_MISUSE must be abort, report or ignore; taken for abort",
        ),
        (
            "DRYSTONE_GUARD",
            "5000",
            "DRYSTONE_GUARD must be 1/N, such as 1/5000, or 0; no block is guarded",
        ),
        ("DRYSTONE_HELP", "me", "DRYSTONE_HELP must be 1; no list"),
    ];
    for kind in BOTH {
        for (name, value, sentence) in cases {
            let ended = run(kind, Act::Well, &[(name, value)]);
            assert!(ended.status.success(), "{kind:?}, {name}: {ended:?}");
            assert_eq!(ended.stderr, format!("drystone: {sentence}\n"), "{kind:?}, {name}");
        }
        // The recorder's variable is known, though only the recorder reads it.
        assert_eq!(run(kind, Act::Well, &[("DRYSTONE_TRACE", "/tmp/x")]).stderr, "");
    }
}

#[test]
fn a_name_from_outside_does_no_harm_to_the_terminal_and_is_cut() {
    let long = format!("DRYSTONE_\u{1b}[2J{}", "x".repeat(1000));
    for kind in BOTH {
        let said = run(kind, Act::Well, &[(&long, "")]).stderr;
        assert!(said.starts_with("drystone: DRYSTONE_?[2Jxxx"), "{kind:?}: {said}");
        assert!(said.len() < 300 && said.ends_with("x\n"), "{kind:?}: {said}");
    }
}

#[test]
fn help_lists_every_variable_and_the_program_goes_on() {
    for kind in BOTH {
        let ended = run(kind, Act::Well, &[("DRYSTONE_HELP", "1")]);
        assert!(ended.status.success() && !ended.stdout.is_empty(), "{kind:?}: {ended:?}");
        assert!(ended.stderr.lines().all(|line| line.starts_with("drystone: ")), "{ended:?}");
        for variable in &environment::VARIABLES {
            let line = format!("drystone:   {}: ", variable.name.to_str().unwrap());
            assert_eq!(ended.stderr.matches(&line).count(), 1, "{line}: {}", ended.stderr);
        }
        assert_eq!(run(kind, Act::Well, &[("DRYSTONE_HELP", "0")]).stderr, "");
    }
}

/// Calls are counted where figures are asked for: a box is two.
#[test]
fn neither_a_report_nor_a_table_allocates() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["program_that_reports_and_counts", "--exact", "--ignored", "--nocapture"]);
    command.arg("--test-threads=1").env_clear().env("DRYSTONE_STATS", "1");
    let ended = served::run(&mut command, Path::new("/"), 600).unwrap();
    assert!(ended.stdout.contains("calls: 0 0 2\n"), "{ended:?}");
    assert!(ended.stderr.starts_with("drystone: double free: 0x1000, "), "{ended:?}");
}
