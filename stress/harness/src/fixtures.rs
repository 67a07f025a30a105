//! For tests of the tools: their options, where no library is built.

use std::fmt::Display;
use std::path::PathBuf;

use clap::{Args, Command};
use thiserror::Error;

use crate::allocators::Folders;

/// What is wrong with a tool's arguments, as its user is told.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Rejected(String);

/// A tool's options from its arguments.
///
/// # Errors
/// Clap's message: the arguments can't be read.
pub fn options<O: Args>(arguments: &[&str]) -> Result<O, Rejected> {
    let command = O::augment_args(Command::new("cargo stress"));
    let matches = command.try_get_matches_from([&["cargo stress"], arguments].concat());
    matches
        .and_then(|found| O::from_arg_matches(&found))
        .map_err(|error| Rejected(error.to_string()))
}

/// Folders without any library.
pub fn no_libraries() -> Folders {
    Folders { target: PathBuf::from("/nowhere"), system: Vec::new() }
}

/// A tool's plan from its arguments by its options' `plan`, where no library is built.
///
/// # Errors
/// The arguments can't be read, or `plan` rejects them.
pub fn plan<O: Args, P, E: Display>(
    arguments: &[&str],
    plan: impl FnOnce(&O, &Folders) -> Result<P, E>,
) -> Result<P, Rejected> {
    plan(&options(arguments)?, &no_libraries()).map_err(|error| Rejected(error.to_string()))
}
