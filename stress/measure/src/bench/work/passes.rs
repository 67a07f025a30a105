//! A row's work, and how its passes are timed.

use std::fmt;
use std::time::Duration;

use drystone_workloads::heap::Heap;

/// A row's data, made.
pub struct Work {
    /// Calls in one pass.
    pub operations: u64,
    /// How a pass is timed.
    pub clock: Clock,
    /// Allocates what has to be live before the first pass.
    pub start: Box<dyn FnOnce(Heap) -> Passes>,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operations, clock, start: _ } = self;
        let mut shown = f.debug_struct("Work");
        shown.field("operations", operations).field("clock", clock).finish_non_exhaustive()
    }
}

/// What a row is timed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The process's own time on all processors.
    Processor,
    /// The time that passes. Another process may take a processor away meanwhile, so rows timed by
    /// it are measured in parts, of which the median counts.
    Wall,
}

/// Makes so many passes, at least one, and says how long they took.
pub type Passes = Box<dyn FnMut(u64) -> Duration>;

/// Passes of one thread.
pub(super) fn timed(mut pass: impl FnMut() + 'static) -> Passes {
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

/// Room for `count` blocks, its pages resident: what is resident later is the allocator's.
pub(super) fn slots(count: usize) -> Vec<*mut u8> {
    // Not null: a vector of nulls is fresh pages that nobody has touched.
    (0..count).map(|_| std::ptr::dangling_mut()).collect()
}
