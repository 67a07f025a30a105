//! A cache line's way from one thread to another (core-to-core latency). The host of a virtual
//! machine moves its processors, now near to each other, now far, for minutes each: what two
//! threads do with one allocator can be set beside what they do with another only where the way was
//! the same for both.
//!
//! ```text
//! main     store 1 ┐             ┌ load 2, store 3 ┐             ┌ ...
//! helper           └ load 1, store 2 ┘             └ load 3, store 4 ┘       a turn is two ways
//! ```
//!
//! The helper is a bare clone on a stack of its own. It calls nothing: the allocator hears of no
//! thread but the row's, and the C library keeps no stack that the row's threads would find
//! resident.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{mem, ptr, thread};

use crossbeam::utils::CachePadded;
use drystone_harness::stats::{apart, median};
use serde::{Deserialize, Serialize};

/// Ways that differ by more than this factor are no longer taken for the same.
pub const WIDEST: f64 = 1.5;

/// The ways that enclose a row, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Before its warm-up.
    pub before: f64,
    /// After its last part.
    pub after: f64,
}

impl Line {
    /// By what factor the two differ from each other or from what is `usual`, whichever is more.
    pub fn astray(self, usual: Option<f64>) -> f64 {
        apart(self.ways().into_iter().chain(usual)).map_or(1.0, |(least, most)| most / least)
    }

    /// Both.
    pub fn ways(self) -> [f64; 2] {
        [self.before, self.after]
    }
}

/// Bursts, of which the median counts: a thread may lose its processor in some. Odd, so that it is
/// one of them.
const BURSTS: usize = 9;
/// Turns in a burst: 60 µs where a way takes 100 ns.
const TURNS: u32 = 300;
/// When no more bursts are made, on a machine too busy to let two threads run at once.
const PATIENCE: Duration = Duration::from_millis(200);
/// Looks at the line until the clock is looked at.
const LOOKS: u32 = 1 << 14;

/// A line's way in nanoseconds, now, from this thread's processor to another that it may run on.
/// None if there is no other, or two threads did not run at once.
pub fn way() -> Option<f64> {
    let deadline = Instant::now() + PATIENCE;
    let mut helper = Helper::start()?;
    // The helper has got to a processor, and the line to both.
    helper.take(TURNS, deadline)?;
    let bursts = (0..BURSTS).map_while(|_| helper.take(TURNS, deadline));
    let ways = bursts.map(|burst| burst.as_nanos() as f64 / f64::from(2 * TURNS));
    median(&ways.collect::<Vec<_>>())
}

/// What both threads see.
struct Shared {
    line: CachePadded<AtomicU32>,
    /// The kernel's to clear when the helper has ended.
    alive: CachePadded<AtomicU32>,
}

/// The thread at the line's other end.
struct Helper {
    shared: Box<Shared>,
    /// What the line holds when it is back.
    turn: u32,
    /// Its memory is the helper's; the vector stays empty.
    _stack: Vec<u128>,
}

/// What the line holds when the helper is to end. No turn comes so far.
const END: u32 = u32::MAX;
const STACK_BYTES: usize = 64 << 10;

impl Helper {
    fn start() -> Option<Self> {
        let elsewhere = elsewhere()?;
        let shared = Shared {
            line: CachePadded::new(AtomicU32::new(0)),
            alive: CachePadded::new(AtomicU32::new(1)),
        };
        let shared = Box::new(shared);
        let mut stack = Vec::<u128>::with_capacity(STACK_BYTES / size_of::<u128>());
        let top = stack.spare_capacity_mut().as_mut_ptr_range().end;
        let flags = libc::CLONE_VM
            | libc::CLONE_FS
            | libc::CLONE_FILES
            | libc::CLONE_SIGHAND
            | libc::CLONE_THREAD
            | libc::CLONE_SYSVSEM
            | libc::CLONE_CHILD_CLEARTID;
        // SAFETY: the stack is aligned as every ABI wants and large enough for a function that
        // calls nothing but atomics; it and `shared` live until the kernel says that the thread has
        // ended, see `drop`. The thread has this one's thread-local storage, and uses none: it
        // calls no function of the C library.
        let id = unsafe {
            libc::clone(
                answer,
                top.cast(),
                flags,
                ptr::from_ref(&*shared).cast_mut().cast(),
                ptr::null_mut::<c_void>(),
                ptr::null_mut::<c_void>(),
                shared.alive.as_ptr(),
            )
        };
        if id < 0 {
            return None;
        }
        // Some kernels leave two busy threads on one processor for long. If this fails, the
        // deadline helps. SAFETY: the set is as large as its size says.
        unsafe { libc::sched_setaffinity(id, size_of::<libc::cpu_set_t>(), &raw const elsewhere) };
        Some(Self { shared, turn: 0, _stack: stack })
    }

    /// Sends the line there and back so many times, and says how long that took. None if it is not
    /// done by the deadline.
    fn take(&mut self, turns: u32, deadline: Instant) -> Option<Duration> {
        let line = &self.shared.line;
        let began = Instant::now();
        for _ in 0..turns {
            // The line carries nothing but itself, so relaxed is enough.
            line.store(self.turn + 1, Ordering::Relaxed);
            self.turn += 2;
            let mut looks = 0;
            // No pause between two looks: on some processors it takes longer than the way.
            while line.load(Ordering::Relaxed) != self.turn {
                looks += 1;
                if looks % LOOKS == 0 && Instant::now() > deadline {
                    return None;
                }
            }
        }
        Some(began.elapsed())
    }
}

/// The processors that this thread may run on, except the one that it runs on. None if there is no
/// other.
fn elsewhere() -> Option<libc::cpu_set_t> {
    // SAFETY: a set is words of bits, which may all be zero.
    let mut set = unsafe { mem::zeroed::<libc::cpu_set_t>() };
    // SAFETY: the set is as large as its size says, and writable; the number is checked to be one
    // of its bits.
    unsafe {
        if libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) != 0 {
            return None;
        }
        let here = usize::try_from(libc::sched_getcpu()).ok()?;
        if here < 8 * size_of_val(&set) {
            libc::CPU_CLR(here, &mut set);
        }
        (libc::CPU_COUNT(&set) > 0).then_some(set)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        while self.shared.alive.load(Ordering::Acquire) != 0 {
            // Again and again: an answer under way may overwrite it.
            self.shared.line.store(END, Ordering::Relaxed);
            thread::yield_now();
        }
    }
}

/// The helper's life: every odd number is answered by the next.
extern "C" fn answer(shared: *mut c_void) -> c_int {
    // SAFETY: `Helper::start` passes a `Shared`, which lives until this thread has ended.
    let line = unsafe { &(*shared.cast::<Shared>()).line };
    loop {
        match line.load(Ordering::Relaxed) {
            END => return 0,
            turn if turn % 2 == 1 => line.store(turn.wrapping_add(1), Ordering::Relaxed),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_measured_again_and_again() {
        let ways: Vec<f64> = (0..20).filter_map(|_| way()).collect();
        assert!(!ways.is_empty(), "two threads never ran at once");
        assert!(ways.iter().all(|&way| way > 1.0), "faster than a cache: {ways:?}");
    }

    #[test]
    fn a_line_is_astray_by_the_greatest_factor() {
        let line = Line { before: 20.0, after: 30.0 };
        assert_eq!(line.astray(None), 1.5);
        assert_eq!(line.astray(Some(25.0)), 1.5);
        assert_eq!(line.astray(Some(60.0)), 3.0);
        assert_eq!(line.astray(Some(10.0)), 3.0);
    }
}
