//! The clocks of a slice: processor time, wall time, context switches.

use std::ops::AddAssign;

/// What a piece of work took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Operations done.
    pub operations: u64,
    /// Nanoseconds of processor time.
    pub cpu: u64,
    /// Nanoseconds of wall time.
    pub wall: u64,
    /// Context switches of the thread that did it.
    pub switches: u64,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.cpu += other.cpu;
        self.wall += other.wall;
        self.switches += other.switches;
    }
}

/// Whose processor time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The calling thread's.
    Thread,
    /// All threads', those that have ended meanwhile included.
    Process,
}

/// Runs `work`, which does `operations`, and says what it took.
pub fn time(whose: Whose, operations: u64, work: impl FnOnce()) -> Spent {
    let clock = match whose {
        Whose::Thread => libc::CLOCK_THREAD_CPUTIME_ID,
        Whose::Process => libc::CLOCK_PROCESS_CPUTIME_ID,
    };
    let switches = switches();
    let wall = now(libc::CLOCK_MONOTONIC);
    let cpu = now(clock);
    work();
    let cpu = now(clock) - cpu;
    let wall = now(libc::CLOCK_MONOTONIC) - wall;
    Spent { operations, cpu, wall, switches: self::switches() - switches }
}

/// A clock's time in nanoseconds.
pub fn now(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that the call may write. It cannot fail: these clocks exist on
    // every Linux this is built for.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Context switches of this thread so far, voluntary and not.
fn switches() -> u64 {
    // SAFETY: all-zero bytes are an rusage: it is numbers throughout.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is an rusage that the call may write; RUSAGE_THREAD is known to Linux.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    (usage.ru_nvcsw + usage.ru_nivcsw) as u64
}
