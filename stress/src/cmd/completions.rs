//! `cargo stress completions`: what a shell completes after the tool's name.

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;
use drystone_harness::entry::INSTALLED;
use drystone_harness::{exit, output};

/// Print what a shell completes after the name of the installed binary, `drystone-stress`
///
/// Put it where your shell looks, as in: cargo stress completions bash >
/// ~/.local/share/bash-completion/completions/drystone-stress
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Prints them, for `command`, the tree of all that the tool is told.
///
/// # Errors
/// Standard output can't be written.
pub fn run(options: &Options, command: Command) -> Result<u8> {
    let mut text = Vec::new();
    // `cargo stress` is an alias, of which shells know nothing.
    let mut command = command.name(INSTALLED);
    clap_complete::generate(options.shell, &mut command, INSTALLED, &mut text);
    output::write(&String::from_utf8_lossy(&text)).context("writing the completions")?;
    Ok(exit::FINE)
}
