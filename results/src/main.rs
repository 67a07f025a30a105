//! `results`: what changed between two commits, and records of benchmark runs.
//!
//! Each room imports only from those below it:
//!
//! <!-- rooms of results/src, highest first -->
//!
//! | room | holds |
//! |---|---|
//! | `cli` | what the program is told |
//! | `commands` | one file per subcommand |
//! | `records` | the second view, records of criterion runs, with rooms of its own |
//! | `site` | static pages: allocators beside each other, comparisons, trend, stress |
//! | `report` | table, Markdown, JSON, the page |
//! | `session` | a comparison from its sides to its evidence |
//! | `lanes` | what the parent does: one file a lane |
//! | `pair` | what a child does: rows, slices, slow calls, memory, marks for callgrind |
//! | `calibration` | what is known of the tool on this machine |
//! | `decide` | the sequential sign test, verdicts, all that a file of evidence says; resampling |
//! | `build`, `side` | from a name to a tree, from a tree to an archive and its layouts |
//! | `plant` | known changes, for copies of an archive |
//! | `evidence` | the file of a comparison: its header, its lines, reader and writer |
//! | `progress`, `child`, `interrupt` | a bar; processes that Ctrl-C ends |
//! | `output`, `machine`, `date`, `exit` | stdout; where it ran and when; exit codes |

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
        cli::Command::List(arguments) => commands::list(arguments),
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
