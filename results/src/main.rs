//! `results`: what changed between two commits, and records of benchmark runs.
//!
//! The rooms, each importing only from those below it:
//!
//! ```text
//! main ─► cli ─► commands ─┬─► site ─► report ─► decide ─► evidence
//!                          ├─► session ─► lanes ─┬─► pair ─► evidence
//!                          │                     └─► build ─► side
//!                          └─► records                      the second view
//! ```
//!
//! - `evidence`: the file of a comparison: a header line, then a line for each process.
//! - `decide`: from evidence to verdicts.
//! - `plant`: known changes in copies of an allocator, for the tool's test of itself.
//! - `calibration`: what is known of the tool on this machine.
//! - `interrupt`, `child`, `output`, `exit`, `machine`, `date`: Ctrl-C, processes that it ends,
//!   stdout, exit codes, where it ran and when.

mod build;
mod calibration;
mod child;
mod cli;
mod commands;
mod date;
mod decide;
mod evidence;
mod exit;
mod interrupt;
mod lanes;
mod machine;
mod output;
mod pair;
mod plant;
mod progress;
mod records;
mod report;
mod session;
mod side;
mod site;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use drystone_workloads::cli::manual::Options;

/// Writes the pages for `man`.
fn manual(options: &Options) -> anyhow::Result<u8> {
    options.write(cli::Arguments::command(), cli::INSTALLED)?;
    Ok(exit::FINE)
}

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let interrupt = interrupt::Interrupt::install();
    let done = match &arguments.command {
        cli::Command::Show(arguments) => commands::show(arguments),
        cli::Command::Merge(arguments) => commands::merge(arguments),
        cli::Command::Bisect(arguments) => commands::bisect(arguments, &interrupt),
        cli::Command::Trend(arguments) => commands::trend(arguments),
        cli::Command::Site(arguments) => commands::site(arguments),
        cli::Command::Selftest(arguments) => commands::selftest(arguments, &interrupt),
        cli::Command::Calibrate(arguments) => commands::calibrate(arguments, &interrupt),
        cli::Command::Child => pair::run(),
        cli::Command::Compare(arguments) => commands::compare(arguments, &interrupt),
        cli::Command::Record(arguments) => records::commands::record(arguments, &interrupt),
        cli::Command::Records(arguments) => records::commands::compare(arguments, &interrupt),
        cli::Command::Manual(options) => manual(options),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(exit::TOOL_FAILURE)
        }
    }
}
