//! The lines that a child prints.

use crate::protocol::job::{self, Line};

/// Prints a line, with one system call unless a signal cuts it short. It uses the harness's memory:
/// where that may be locked, see [`say_failed`].
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

/// Prints [`Line::Done`] of a failed check with one system call and without any memory: for signal
/// handlers, and for forked children in which a thread that is gone may have held a lock.
pub fn say_failed(expected: &'static str, got: &'static str) {
    let pieces = job::failed(expected, got).map(|piece| libc::iovec {
        iov_base: piece.as_ptr().cast_mut().cast(),
        iov_len: piece.len(),
    });
    // SAFETY: writev reads the pieces, all of which are valid text; it may be called in any state.
    // What is not written is not said: the exit status tells then.
    unsafe { libc::writev(1, pieces.as_ptr(), pieces.len() as i32) };
}
