//! When to end, and when to report to the supervisor, asked in the loop itself: a process that
//! forks has no thread for it.

use std::time::{Duration, Instant};

/// Asks whether it is time to end, and reports to the supervisor, without a thread: from the loop
/// itself.
#[derive(Debug)]
pub struct Pulse<F: FnMut()> {
    deadline: Option<Instant>,
    next: Instant,
    tick: Duration,
    report: F,
}

impl<F: FnMut()> Pulse<F> {
    /// Ends at `deadline`, or when standard input ends; calls `report` every `tick`.
    pub fn new(deadline: Option<Instant>, tick: Duration, report: F) -> Self {
        Self { deadline, next: Instant::now() + tick, tick, report }
    }

    /// Whether it is time to end.
    pub fn ended(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.next {
            (self.report)();
            self.next = now + self.tick;
        }
        self.deadline.is_some_and(|deadline| now >= deadline) || input_has_ended()
    }
}

fn input_has_ended() -> bool {
    let mut input = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd; a timeout of 0 does not wait. The supervisor writes nothing, so
    // anything that happens is the end.
    unsafe { libc::poll(&raw mut input, 1, 0) > 0 }
}
