//! `trace`: packs and shows recorded allocation histories. See `docs/traces.md`.
//!
//! Exit codes: 0 fine; 2 wrong usage, or a file that cannot be read or written.

mod cli;
mod cost;
mod list;
mod print;
mod show;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use drystone_workloads::trace::{Summary, Trace};

use cli::{Cli, Command, INSTALLED, Pack, Show};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Pack(options) => pack(&options),
        Command::Show(options) => show(&options),
        Command::List(options) => said(list::render(&options.files, options.printing)),
        Command::Cost(options) => said(cost::render(&options.files, options.printing)),
        Command::Manual(options) => {
            options.write(Cli::command(), INSTALLED).map_err(anyhow::Error::from)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trace: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn pack(options: &Pack) -> anyhow::Result<()> {
    let mut trace = Trace::read(&options.raw)?;
    if let Some(command) = &options.command {
        trace.set_command(command.clone());
    }
    trace.write(&options.output)?;
    let bytes = std::fs::metadata(&options.output).context("the packed trace is gone")?.len();
    let (file, ops) = (options.output.display(), trace.ops().len());
    eprintln!("packed {ops} operations into {file}, {bytes} bytes");
    if trace.gaps().stopped != 0 {
        let errno = trace.gaps().stopped;
        eprintln!("trace: the recorder gave up before the program's end (errno {errno})");
    }
    Ok(())
}

fn show(options: &Show) -> anyhow::Result<()> {
    let trace = Trace::read(&options.file)?;
    said(Ok(show::render(&trace, &Summary::of(&trace), options.printing)))
}

/// Prints what there is to print.
fn said(text: anyhow::Result<String>) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text?.as_bytes()) {
        // Whoever closed the pipe has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to stdout"),
    }
}
