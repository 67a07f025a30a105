//! What the rows do.
//!
//! A row's work comes in three steps: its data are made (random choices, tables; the harness's memory),
//! then it starts on a heap (what has to be live), then passes are made and timed. The floor of a row's
//! peak is read after the first step.
//!
//! The first byte of every block is written, as every program does. Every random choice is part of the
//! data, of fixed seeds, the same for every subject. An operation is one call of the subject.
//!
//! Rows of one thread are timed by the processor time of the whole process, the kernel's part and that of
//! threads which a subject keeps included, so that whoever else uses the machine is not in the figure.
//! Where threads wait for each other only the wall's clock will do.

pub mod one_thread;
pub mod scaling;
pub mod threads;

use std::time::Duration;

use drystone_workloads::heap::Heap;
use drystone_workloads::trace::Script;

use crate::bench::suite::Kind;

/// A row's data, made.
pub struct Work {
    /// Calls in one pass.
    pub operations: u64,
    /// How a pass is timed.
    pub clock: Clock,
    /// Allocates what has to be live before the first pass.
    pub start: Box<dyn FnOnce(Heap) -> Passes>,
}

/// What a row is timed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The process's own time on all processors.
    Processor,
    /// The time that passes. Another process may take a processor away meanwhile, so rows timed by it are
    /// measured in parts, of which the median counts.
    Wall,
}

/// Makes so many passes, at least one, and says how long they took.
pub type Passes = Box<dyn FnMut(u64) -> Duration>;

/// Makes a row's data. `script` is the program of [`Kind::Trace`].
///
/// # Panics
/// If the script is missing, or the row is [`Kind::Scaling`], which is measured otherwise.
pub fn prepare(kind: Kind, script: Option<Script>) -> Work {
    match kind {
        Kind::Pair(size) => one_thread::pair(size),
        Kind::Ring(slots) => one_thread::ring(slots),
        Kind::Bulk(order) => one_thread::bulk(order),
        Kind::Calloc(size) => one_thread::calloc(size),
        Kind::Realloc(last) => one_thread::realloc(last),
        Kind::HandOff(batch) => threads::hand_off(batch),
        Kind::Churn => threads::churn(),
        Kind::Threads => threads::private(),
        Kind::Trace => one_thread::trace(script.expect("a trace row has a script")),
        Kind::Scaling => unreachable!("scaling has phases, not passes"),
    }
}

/// Passes of one thread.
fn timed(mut pass: impl FnMut() + 'static) -> Passes {
    Box::new(move |passes| {
        let began = processor_time();
        for _ in 0..passes {
            pass();
        }
        processor_time() - began
    })
}

/// What this process has used of all processors so far.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable. Linux has had this clock since 2.6.12.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(done, 0, "the kernel does not tell the process's time");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Room for `count` blocks, its pages resident: what is resident later is the subject's.
fn slots(count: usize) -> Vec<*mut u8> {
    // Not null: a vector of nulls is fresh pages that nobody has touched.
    (0..count).map(|_| std::ptr::dangling_mut()).collect()
}
