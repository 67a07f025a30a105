//! The child process: one row with the subject that was preloaded.

use std::ptr;

use drystone_harness::exit;
use drystone_harness::process::preload::die_with_the_parent;

use crate::heap::Heap;
use crate::job::{self, Job, Line, Task};
use crate::misuse;
use crate::outcome::Verdict;
use crate::rows::{self, Check};

/// Does what the job says; the exit status. The process ends through its exit handlers, which are the
/// subject's too.
pub fn main(job: &str) -> u8 {
    die_with_the_parent();
    match run(job) {
        Ok(()) => exit::FINE,
        Err(why) => {
            say(&Line::Refused { why });
            exit::FAILED
        }
    }
}

fn run(job: &str) -> Result<(), String> {
    let job: Job = serde_json::from_str(job).map_err(|error| format!("the job: {error}"))?;
    let heap = Heap::open(job.library.as_deref(), job.loaded)?;
    // Threads and exit handlers use it to the very end.
    let heap: &'static Heap = Box::leak(Box::new(heap));
    say(&Line::Served { by: heap.served_by.clone() });
    match job.task {
        Task::Begin => {}
        Task::Check { row } => {
            let row = rows::named(&row).ok_or_else(|| format!("there is no row `{row}`"))?;
            let result = match row.check {
                Check::Judged(check) => check(heap).map(|()| None),
                Check::Recorded(check) => check(heap).map(Some),
            };
            say(&Line::Done(Verdict::from(result)));
        }
        Task::Mistake { mistake, size, twin } => misuse::act::run(heap, mistake, size, twin),
    }
    Ok(())
}

/// Prints a line, with one system call unless a signal cuts it short. It uses the harness's memory: where that
/// may be locked, see [`say_failed`].
pub fn say(line: &Line) {
    let text = line.text();
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        // SAFETY: the bytes are valid; a pipe that nobody reads ends the process.
        let written = unsafe { libc::write(1, rest.as_ptr().cast(), rest.len()) };
        if written <= 0 {
            return;
        }
        rest = &rest[written as usize..];
    }
}

/// Prints [`Line::Done`] of a failed check with one system call and without any memory: for signal handlers, and
/// for forked children in which a thread that is gone may have held a lock.
pub fn say_failed(expected: &'static str, got: &'static str) {
    let pieces = job::failed(expected, got).map(|piece| libc::iovec {
        iov_base: piece.as_ptr().cast_mut().cast(),
        iov_len: piece.len(),
    });
    // SAFETY: writev reads the pieces, all of which are valid text; it may be called in any state. What is not
    // written is not said: the exit status tells then.
    unsafe { libc::writev(1, pieces.as_ptr(), pieces.len() as i32) };
}

/// Ignores what is sent as `signal`, by a handler that does nothing.
pub fn shrug(signal: i32) {
    extern "C" fn nothing(_signal: i32) {}
    handle(signal, nothing, 0);
}

/// Installs a handler, without `SA_RESTART`: system calls are interrupted.
pub fn handle(signal: i32, handler: extern "C" fn(i32), flags: i32) {
    // SAFETY: all zero is a valid sigaction; the handler has the signature that goes with no SA_SIGINFO.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = flags;
        libc::sigaction(signal, &raw const action, ptr::null_mut());
    }
}
