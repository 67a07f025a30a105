//! A call that never returns, noticed while other workers go on: by the thread's own time in it.
//!
//! A thread that waits for a processor has not hung, however long that takes. So of a worker that
//! is in a call and does nothing more, the kernel is asked what its thread does: time asleep and
//! time on a processor count, time in the queue for one does not, nor do reads from a disk, nor
//! time in which nothing in the machine ran.
//!
//! The harness allocates between its calls, and so a preloaded allocator can hang there too. A
//! worker that sleeps so without saying that it waits gets three times as long: it may stand behind
//! another that hangs in a call, which is then the one to name. One that hangs in a wait (a call
//! that `dlopen` makes, or the harness while it rests) is left to the run's own deadline.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use drystone_checker::counters::{Board, Count};

/// A look that comes later than this after the one before says nothing of the time between.
const LATE: Duration = Duration::from_secs(1);

/// How much longer than a call a worker may take between two.
const BETWEEN_CALLS: u32 = 3;

/// What is known of one worker.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    operations: u64,
    thread: u32,
    /// Its time in the present call, as far as it counts.
    own: Duration,
    /// Its thread's time on a processor, in the kernel's ticks, when it was last looked at.
    ticks: Option<u64>,
}

/// What is known of all workers.
#[derive(Debug)]
pub(super) struct Watch {
    deadline: Duration,
    looked: Instant,
    seen: Vec<Seen>,
}

impl Watch {
    /// A watch for calls that take `deadline` of their own time.
    pub(super) fn new(workers: usize, deadline: Duration) -> Self {
        Self { deadline, looked: Instant::now(), seen: vec![Seen::default(); workers] }
    }

    /// Looks at every worker: the first that hangs, and how.
    pub(super) fn look(&mut self, board: &Board) -> Option<(usize, String)> {
        let passed = std::mem::replace(&mut self.looked, Instant::now()).elapsed();
        for (worker, seen) in self.seen.iter_mut().enumerate() {
            let row = board.row(worker);
            let (operations, doing) = (row.get(Count::Operations), row.at());
            let thread = row.thread().unwrap_or_default();
            let moved = operations != seen.operations || thread != seen.thread;
            let waits = doing.is_a_wait() && !row.in_a_call();
            if moved || waits || thread == 0 || passed > LATE {
                *seen = Seen { operations, thread, ..Seen::default() };
                continue;
            }
            let Some(Task { state, ticks }) = Task::of(thread) else { continue };
            let before = seen.ticks.replace(ticks);
            match (state, before, row.in_a_call()) {
                ('S', ..) => seen.own += passed,
                ('R', Some(before), true) => seen.own += in_time(ticks.saturating_sub(before)),
                _ => {}
            }
            let deadline = self.deadline * if row.in_a_call() { 1 } else { BETWEEN_CALLS };
            if seen.own >= deadline {
                let how = if state == 'S' { "asleep" } else { "on a processor" };
                let what = match row.in_a_call() {
                    true => "does not return",
                    false => "is over, and a call that the harness makes itself does not return",
                };
                let seen = format!(
                    "{} {what}: {} s of its own time, {how}, while the others went on, or waited \
                     for it",
                    doing.name(),
                    seen.own.as_secs()
                );
                return Some((worker, seen));
            }
        }
        None
    }
}

/// The kernel's ticks as time: USER_HZ is 100 on every machine that Linux has for us (proc(5)).
fn in_time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 10)
}

/// A thread by the kernel's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Task {
    state: char,
    /// On a processor, in user mode and in the kernel.
    ticks: u64,
}

impl Task {
    fn of(thread: u32) -> Option<Self> {
        let mut text = [0; 1024];
        let path = format!("/proc/self/task/{thread}/stat");
        let read = File::open(path).ok()?.read(&mut text).ok()?;
        Self::parse(std::str::from_utf8(&text[..read]).ok()?)
    }

    /// `number (name) state parent ...`: a name may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let mut times = fields.skip(10);
        let (user, kernel) = (times.next()?, times.next()?);
        Some(Self { state, ticks: user.parse::<u64>().ok()? + kernel.parse::<u64>().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_state_and_time_are_read() {
        let stat = "71 (worker (3) ) S 1 71 71 0 -1 4194304 1 2 3 4 17 25 0 0 20 0 1 0 99";
        assert_eq!(Task::parse(stat), Some(Task { state: 'S', ticks: 42 }));
        assert_eq!(Task::parse("71 (half"), None);
        // SAFETY: takes nothing.
        let own = unsafe { libc::gettid() }.cast_unsigned();
        assert_eq!(Task::of(own).map(|task| task.state), Some('R'));
    }
}
