//! For tests of the tools: their options, where no library is built.

use std::path::PathBuf;

use clap::{Args, Command};

use crate::allocators::Folders;

/// A tool's options from its arguments.
///
/// # Errors
/// Clap's message: the arguments can't be read.
pub fn options<O: Args>(arguments: &[&str]) -> Result<O, String> {
    let command = O::augment_args(Command::new("cargo stress"));
    let matches = command.try_get_matches_from([&["cargo stress"], arguments].concat());
    matches.and_then(|found| O::from_arg_matches(&found)).map_err(|error| error.to_string())
}

/// Folders without any library.
pub fn no_libraries() -> Folders {
    Folders { target: PathBuf::from("/nowhere"), system: Vec::new() }
}

/// A tool's plan from its arguments by its options' `plan`, where no library is built.
///
/// # Errors
/// The arguments can't be read, or `plan` rejects them.
pub fn plan<O: Args, P>(
    arguments: &[&str],
    plan: impl FnOnce(&O, &Folders) -> Result<P, String>,
) -> Result<P, String> {
    plan(&options(arguments)?, &no_libraries())
}
