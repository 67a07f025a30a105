//! What every tool does first and last: it sees whether it is a child, and says what went wrong.

use std::fmt::Display;

use crate::exit;

/// A tool's exit code. What went wrong is said in one line, with its causes.
pub fn code(done: Result<u8, impl Display>) -> u8 {
    done.unwrap_or_else(|why| {
        eprintln!("error: {why:#}");
        exit::FAILED
    })
}
