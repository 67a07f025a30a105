//! What every tool does first and last: it reads its own arguments, and says what went wrong.

use std::ffi::OsString;

use anyhow::Result;
use clap::Parser;

use crate::exit;

/// Runs a tool on its own arguments, the name first; the exit code. What goes wrong is said in one
/// line.
pub fn run<O: Parser>(arguments: &[OsString], work: impl FnOnce(&O) -> Result<u8>) -> u8 {
    work(&O::parse_from(arguments)).unwrap_or_else(|why| {
        eprintln!("error: {why:#}");
        exit::FAILED
    })
}

/// The same, if the process's arguments ask for the tool of that name.
pub fn named<O: Parser>(
    arguments: &[OsString],
    name: &str,
    work: impl FnOnce(&O) -> Result<u8>,
) -> Option<u8> {
    (arguments.get(1)? == name).then(|| run(&arguments[1..], work))
}
