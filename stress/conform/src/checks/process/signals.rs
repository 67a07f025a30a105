//! Handlers of signals that interrupt nothing of the allocator's.

use std::hint::black_box;
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::thread;

use crate::checks::exercise::{end_with, exercise, exercised};
use crate::child::block::Block;
use crate::child::heap::Heap;
use crate::child::signals::{every, handle, shrug};
use crate::outcome::{Checked, Wrong, expect};
use crate::row::{Check, Row};

const SAFETY: &str = "signal-safety(7); POSIX.1-2024 2.4.3";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "signals/in-a-handler",
        about: "it serves a handler that interrupts code that does not allocate, 500 times",
        source: SAFETY,
        check: Check::Judged(in_a_handler),
    },
    Row {
        name: "signals/other-stack",
        about: "the same on an alternate stack of 64 KiB",
        source: "sigaltstack(2); signal-safety(7)",
        check: Check::Judged(on_another_stack),
    },
    Row {
        name: "signals/first-call",
        about: "a handler may make a thread's first call",
        source: SAFETY,
        check: Check::Judged(first_call),
    },
    Row {
        name: "signals/storm",
        about: "signals that interrupt the allocator's own system calls and waits change no answer",
        source: "signal(7), EINTR; C23 7.24.3",
        check: Check::Judged(storm),
    },
];

static HEAP: AtomicPtr<Heap> = AtomicPtr::new(null_mut());
static HANDLED: AtomicU32 = AtomicU32::new(0);
/// A block that a handler has left for the next.
static LEFT: AtomicPtr<u8> = AtomicPtr::new(null_mut());

extern "C" fn allocates(_signal: i32) {
    // SAFETY: the handler is installed after the heap was published, which lives for good. Relaxed:
    // by the thread that runs this, or before that one started.
    let heap: &'static Heap = unsafe { &*HEAP.load(Ordering::Relaxed) };
    let count = HANDLED.fetch_add(1, Ordering::Relaxed);
    if let Err(sentence) = exercise(heap, u64::from(count)) {
        end_with("a heap that works in a handler", sentence);
    }
    let block = heap.try_malloc(300).map_or(null_mut(), |block| block.pointer());
    let old = LEFT.swap(block, Ordering::Relaxed);
    // SAFETY: a handler before this one left it, or it is null.
    unsafe { heap.free(old) };
}

fn install(heap: &'static Heap, flags: i32) {
    HEAP.store(ptr::from_ref(heap).cast_mut(), Ordering::Relaxed);
    handle(libc::SIGALRM, allocates, flags);
}

/// Computes, and allocates nothing, until so many handlers have run.
fn compute_until(handled: u32) {
    let mut sum = 0u64;
    while HANDLED.load(Ordering::Relaxed) < handled {
        sum = black_box(sum.wrapping_mul(31).wrapping_add(7));
    }
}

fn in_a_handler(heap: &'static Heap) -> Checked {
    exercised(heap, 1)?;
    install(heap, 0);
    every(1000);
    compute_until(500);
    every(0);
    exercised(heap, 2)
}

fn on_another_stack(heap: &'static Heap) -> Checked {
    let mut stack = vec![0u8; 64 << 10];
    let other =
        libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    let mut before = libc::stack_t { ss_sp: null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: the memory is the stack's alone until the old one is set again.
    unsafe { libc::sigaltstack(&raw const other, &raw mut before) };
    install(heap, libc::SA_ONSTACK);
    every(1000);
    compute_until(300);
    every(0);
    // SAFETY: the stack that was there before is still what it was: the process's own.
    unsafe { libc::sigaltstack(&raw const before, null_mut()) };
    drop(black_box(stack));
    exercised(heap, 2)
}

fn first_call(heap: &'static Heap) -> Checked {
    install(heap, 0);
    for round in 1..=100 {
        let raising = thread::spawn(|| {
            // SAFETY: raise sends to the calling thread, and returns after the handler.
            unsafe { libc::raise(libc::SIGALRM) };
        });
        raising.join().expect("no check panics");
        let handled = HANDLED.load(Ordering::Relaxed);
        expect(handled == round, || format!("{round} signals"), || handled.to_string())?;
    }
    exercised(heap, 1)
}

/// Blocks or unblocks the alarm in the calling thread.
fn masked(how: libc::c_int) {
    // SAFETY: the set is the calling function's, and emptied before it is used; the signal exists.
    let failed = unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGALRM);
        libc::pthread_sigmask(how, &raw const set, null_mut())
    };
    assert_eq!(failed, 0, "a thread may mask what it likes");
}

/// The handler does nothing, and nothing is restarted.
fn storm(heap: &'static Heap) -> Checked {
    shrug(libc::SIGALRM);
    every(200);
    let (over, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let checked = thread::scope(|scope| {
        let workers: Vec<_> = (0..4u64)
            .map(|seed| {
                let (over, rounds) = (&over, &rounds);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        exercised(heap, seed)?;
                        let large: Result<Vec<Block>, Wrong> =
                            [3 << 20, 5 << 20].into_iter().map(|size| heap.malloc(size)).collect();
                        large?.into_iter().for_each(Block::free);
                        rounds.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok::<_, Wrong>(())
                })
            })
            .collect();
        // The kernel gives a process's signals to its first thread as long as that takes them: here
        // it only waits.
        masked(libc::SIG_BLOCK);
        while rounds.load(Ordering::Relaxed) < 2000 && !workers.iter().all(|one| one.is_finished())
        {
            thread::yield_now();
        }
        masked(libc::SIG_UNBLOCK);
        over.store(true, Ordering::Relaxed);
        workers.into_iter().try_for_each(|worker| worker.join().expect("no check panics"))
    });
    every(0);
    checked
}
