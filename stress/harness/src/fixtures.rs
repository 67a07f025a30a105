//! For tests of the tools: their options where no library is built.

use clap::Parser;

use crate::allocators::Folders;

/// What a tool's arguments come to by its options' `plan`, where no library is built.
///
/// # Errors
/// The arguments can't be read, or `plan` refuses them.
///
/// # Panics
/// There is no room for a temporary folder.
pub fn plan<O: Parser, P>(
    arguments: &[&str],
    plan: impl FnOnce(&O, &Folders) -> Result<P, String>,
) -> Result<P, String> {
    let arguments = [&["cargo stress"], arguments].concat();
    let options = O::try_parse_from(arguments).map_err(|error| error.to_string())?;
    let target = tempfile::tempdir().unwrap();
    plan(&options, &Folders { target: target.path().to_owned(), system: Vec::new() })
}
