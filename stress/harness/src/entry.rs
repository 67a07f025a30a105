//! What every tool does first and last: it sees whether it is a child, and says what went wrong.

use std::env;
use std::fmt::Display;

use crate::exit;

/// How the stress tool is called here: by cargo's alias in the repository, by its name where it is
/// installed. Cargo tells what it runs the name of its package.
pub fn called() -> &'static str {
    let by_cargo = env::var_os("CARGO_PKG_NAME")
        .is_some_and(|package| package.to_string_lossy().starts_with("drystone"));
    if by_cargo { "cargo stress" } else { INSTALLED }
}

/// The stress tool's name where it is installed.
pub const INSTALLED: &str = "drystone-stress";

/// A tool's exit code. What went wrong is said in one line, with its causes.
pub fn code(done: Result<u8, impl Display>) -> u8 {
    done.unwrap_or_else(|why| {
        eprintln!("error: {why:#}");
        exit::FAILED
    })
}
