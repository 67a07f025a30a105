//! What an allocator keeps its hands off.

use std::mem::MaybeUninit;
use std::{fs, thread};

use drystone_harness::library::object_of;

use crate::checks::exercise::{address_space, exercised};
use crate::checks::sizes::SIZES;
use crate::child::block::Block;
use crate::child::heap::Heap;
use crate::outcome::{Checked, Wrong, expect};
use crate::row::{Check, Row};

const SUITE: &str = "this suite: the program's own";

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "own/descriptors",
        about: "no file descriptor is open but the program's",
        source: SUITE,
        check: Check::Judged(descriptors),
    },
    Row {
        name: "own/no-descriptors-needed",
        about: "it serves a program that may open no file, threads among it",
        source: "getrlimit(2), RLIMIT_NOFILE",
        check: Check::Judged(without_descriptors),
    },
    Row {
        name: "own/threads",
        about: "no thread runs but the program's",
        source: SUITE,
        check: Check::Judged(threads),
    },
    Row {
        name: "own/signals",
        about: "no signal is handled or blocked, and no timer set, by the allocator",
        source: SUITE,
        check: Check::Judged(signals),
    },
    Row {
        name: "own/address-space",
        about: "the address space of a program that has used 10 MB",
        source: "proc_pid_statm(5)",
        check: Check::Recorded(|heap| {
            busy(heap)?;
            Ok(format!("{} MiB", address_space()? >> 20))
        }),
    },
];

/// Everything an allocator may start something for: sizes, threads, memory given back.
fn busy(heap: &'static Heap) -> Checked {
    for round in 0..3 {
        let mut blocks = Vec::new();
        for size in SIZES {
            for _ in 0..4 {
                let mut block = heap.malloc(size)?;
                block.fill(round);
                blocks.push(block);
            }
        }
        blocks.into_iter().for_each(Block::free);
        let working = thread::spawn(move || exercised(heap, round));
        working.join().expect("no check panics")?;
    }
    Ok(())
}

fn names_in(folder: &str) -> Result<Vec<String>, Wrong> {
    let entries =
        fs::read_dir(folder).map_err(|error| Wrong::CannotTell(format!("{folder}: {error}")))?;
    let names =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    Ok(names.collect())
}

/// The tool closes everything else when it starts a child.
fn descriptors(heap: &'static Heap) -> Checked {
    busy(heap)?;
    let mut open = Vec::new();
    for name in names_in("/proc/self/fd")? {
        // The folder itself is not open any more.
        if !["0", "1", "2"].contains(&name.as_str())
            && let Ok(file) = fs::read_link(format!("/proc/self/fd/{name}"))
        {
            open.push(format!("{name}: {}", file.display()));
        }
    }
    expect(open.is_empty(), || "descriptors 0, 1 and 2".to_owned(), || open.join(", "))
}

fn without_descriptors(heap: &'static Heap) -> Checked {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is valid; standard error is closed for good, as a daemon does it.
    unsafe {
        libc::close(0);
        libc::close(2);
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) != 0 {
            return Err(Wrong::CannotTell("RLIMIT_NOFILE".to_owned()));
        }
    }
    busy(heap)
}

fn threads(heap: &'static Heap) -> Checked {
    busy(heap)?;
    // A thread that has been joined may still be on its way out of the kernel.
    for _ in 0..200 {
        if names_in("/proc/self/task")?.len() == 1 {
            return Ok(());
        }
        thread::sleep(std::time::Duration::from_millis(5));
    }
    let mut names = Vec::new();
    for task in names_in("/proc/self/task")? {
        let name = fs::read_to_string(format!("/proc/self/task/{task}/comm")).unwrap_or_default();
        names.push(name.trim().to_owned());
    }
    expect(false, || "one thread".to_owned(), || names.join(", "))
}

fn signals(heap: &'static Heap) -> Checked {
    busy(heap)?;
    for signal in 1..=64 {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: only asks; `action` is writable, and all zero is valid where the number is not a
        // signal's.
        let action = unsafe {
            libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
            action.assume_init()
        };
        // Rust's runtime handles some; what matters is whose the handler is.
        let handler = action.sa_sigaction;
        if handler > 1
            && let Some(object) = object_of(std::ptr::without_provenance_mut(handler))
        {
            expect(
                object != heap.served_by,
                || format!("no handler of the allocator's for signal {signal}"),
                || format!("{handler:#x} in {}", object.display()),
            )?;
        }
    }
    let mut mask = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: only asks; `mask` is writable.
    let mask = unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr());
        mask.assume_init()
    };
    for signal in 1..=31 {
        // SAFETY: the set is valid.
        let blocked = unsafe { libc::sigismember(&raw const mask, signal) } == 1;
        expect(!blocked, || "no signal blocked".to_owned(), || format!("signal {signal} is"))?;
    }
    for timer in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
        let zero = libc::timeval { tv_sec: 0, tv_usec: 0 };
        let mut value = libc::itimerval { it_interval: zero, it_value: zero };
        // SAFETY: only asks; `value` is writable.
        unsafe { libc::getitimer(timer, &raw mut value) };
        let set = value.it_value.tv_sec != 0 || value.it_value.tv_usec != 0;
        expect(!set, || "no timer set".to_owned(), || format!("timer {timer} is"))?;
    }
    Ok(())
}
