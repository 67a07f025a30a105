//! `cargo stress completions`: what a shell completes after the tool's name.

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;
use drystone_harness::{exit, output};

/// The binary's own name: `cargo stress` is an alias, of which shells know nothing.
const BINARY: &str = "stress";

/// Print what a shell completes after the name of the installed binary, `stress`
///
/// Put it where your shell looks, as in: cargo stress completions bash >
/// ~/.local/share/bash-completion/completions/stress
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
    let mut command = command.name(BINARY);
    clap_complete::generate(options.shell, &mut command, BINARY, &mut text);
    output::write(&String::from_utf8_lossy(&text)).context("writing the completions")?;
    Ok(exit::FINE)
}
