//! What a child says when a signal ends it: which worker was hit, and at which operation.
//!
//! The handler runs in whatever state the allocator has left the process in, so it allocates
//! nothing, takes no lock, and writes one line with one system call. Then the signal takes its
//! usual course.

use std::io::{Cursor, Write};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use drystone_checker::counters::{Board, Count};
use drystone_checker::violation;

use crate::model::finding::BACKTRACE_FOLLOWS;

/// The signals by which a process dies of its own mistakes.
const SIGNALS: [i32; 6] =
    [libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGTRAP];

static BOARD: OnceLock<&'static Board> = OnceLock::new();

/// Whether the handler adds a backtrace, and none has been begun.
static BACKTRACE: AtomicBool = AtomicBool::new(false);

/// More bytes than the line has.
const LINE: usize = 128;

/// The deepest that a backtrace goes, frames.
const FRAMES: usize = 48;

/// Installs the handler, which adds a backtrace if it is to.
pub fn install(board: &'static Board, backtrace: bool) {
    let _ = BOARD.set(board);
    // The first call may load a library, which a handler must not: let that be this one. It is made
    // whether a backtrace is wanted or not, since the library allocates, and a replay must find its
    // allocator as the finding found it.
    let mut frame = [null_mut()];
    // SAFETY: the array has room for one frame.
    unsafe { libc::backtrace(frame.as_mut_ptr(), 1) };
    // Relaxed: the handler is installed after it, by this thread, and before any other starts.
    BACKTRACE.store(backtrace, Ordering::Relaxed);
    // SA_RESETHAND: once the line is written, the same signal kills. SA_ONSTACK: std has given each
    // thread a stack for handlers, so an overflow of the other is reported too.
    set(speak as extern "C" fn(i32) as usize, libc::SA_RESETHAND | libc::SA_ONSTACK);
}

/// Takes the handler out: for a forked process whose death is nobody's surprise.
pub fn uninstall() {
    set(libc::SIG_DFL, 0);
}

fn set(handler: usize, flags: i32) {
    for signal in SIGNALS {
        // SAFETY: all zero is a valid sigaction; the handler has the signature that goes with no
        // SA_SIGINFO, or is SIG_DFL; the old action is not asked for.
        unsafe {
            let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
            action.sa_sigaction = handler;
            action.sa_flags = flags;
            libc::sigaction(signal, &raw const action, null_mut());
        }
    }
}

extern "C" fn speak(_signal: i32) {
    let worker = violation::worker();
    let operation = match (BOARD.get(), worker) {
        (Some(board), Some(worker)) => board.row(worker).get(Count::Operations),
        _ => 0,
    };
    let (line, length) = line(worker, operation);
    // SAFETY: the first `length` bytes are written; write is async-signal-safe.
    unsafe { libc::write(libc::STDOUT_FILENO, line.as_ptr().cast(), length) };
    // Relaxed: only whether it is the first matters. A crash in the unwinder comes here once more,
    // and must not unwind again.
    if BACKTRACE.swap(false, Ordering::Relaxed) {
        print_backtrace();
    }
}

/// The message [`Dying`](crate::model::message::Message::Dying), by hand: serde allocates. A line
/// of its own, whatever was half written; its length.
fn line(worker: Option<usize>, operation: u64) -> ([u8; LINE], usize) {
    let mut line = Cursor::new([0; LINE]);
    let written = match worker {
        Some(worker) => writeln!(
            line,
            "\n{{\"message\":\"dying\",\"thread\":{worker},\"operation\":{operation}}}"
        ),
        None => writeln!(line, "\n{{\"message\":\"dying\",\"thread\":null,\"operation\":0}}"),
    };
    let length = if written.is_ok() { line.position() as usize } else { 0 };
    (line.into_inner(), length)
}

/// To standard error, as `object(symbol+offset) [address]` lines.
fn print_backtrace() {
    let mut frames = [null_mut(); FRAMES];
    // SAFETY: the marker is as long as it says; the array has room for `FRAMES` frames, of which
    // `count` are filled in. Neither function allocates once the unwinder is loaded (backtrace(3)).
    unsafe {
        libc::write(
            libc::STDERR_FILENO,
            BACKTRACE_FOLLOWS.as_ptr().cast(),
            BACKTRACE_FOLLOWS.len(),
        );
        let count = libc::backtrace(frames.as_mut_ptr(), FRAMES as i32);
        libc::backtrace_symbols_fd(frames.as_ptr(), count, libc::STDERR_FILENO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::message::{self, Message};

    #[test]
    fn the_line_written_by_hand_is_a_message() {
        let last = u64::MAX;
        for (thread, operation) in [(Some(3), 17), (Some(usize::MAX), last), (None, 0)] {
            let (bytes, length) = line(thread, operation);
            let text = std::str::from_utf8(&bytes[..length]).unwrap();
            // What stood there before it ends with its first byte.
            let line = text.strip_prefix('\n').and_then(|line| line.strip_suffix('\n')).unwrap();
            assert_eq!(message::parse(line), Some(Message::Dying { thread, operation }), "{line}");
        }
    }
}
