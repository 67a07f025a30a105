//! The subcommands, a file each, and their one tree; the tool from its arguments to its exit code,
//! for a given set of linked allocators. The options of `bench`, `conform` and `programs` are
//! theirs.
//!
//! | file | command |
//! |---|---|
//! | [`run`](mod@run), [`list`], [`report`] | `cargo stress` itself: a campaign; `--list`; its report |
//! | [`replay`], [`shrink`], [`join`] | what is done with findings and records |
//! | [`junit`] | the outcome for CI systems |
//! | [`inject`] | failures of the OS |
//! | [`cost`] | the checker's own costs |
//! | [`zoo`] | planted faults, and who finds them |
//! | [`completions`] | for shells |
//! | `manual` | pages for `man` |
//! | [`readme`] | what the README shows of real runs |

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use drystone_conform::cli as conform;
use drystone_harness::entry;
use drystone_harness::exit;
use drystone_harness::process::child::{Tool, dispatch};
use drystone_measure::{bench, programs};
use drystone_workloads::cli::manual;

use crate::allocators::process::AllocatorEntry;
use crate::child;
use crate::model::job;
use crate::plan::options;

pub mod completions;
pub mod cost;
pub mod inject;
pub mod join;
pub mod junit;
pub mod list;
pub mod readme;
pub mod replay;
pub mod report;
pub mod run;
pub mod shrink;
pub mod zoo;

// Its documentation is that of the options that are flattened into it: clap prints it.
#[derive(Debug, Parser)]
#[command(name = entry::called(), bin_name = entry::called(), version, max_term_width = 80)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    run: options::Options,
}

// The same: the documentation of a subcommand is that of its options.
#[derive(Debug, Subcommand)]
enum Command {
    Replay(replay::Options),
    Shrink(shrink::Options),
    Join(join::Options),
    #[command(visible_alias = "refuse")]
    Inject(inject::Options),
    Bench(bench::cli::Options),
    Cost(cost::cli::Options),
    Conform(conform::Options),
    Programs(programs::cli::Options),
    Zoo(zoo::Options),
    Completions(completions::Options),
    Manual(manual::Options),
    // For those who work on this repository: its help says so.
    #[command(hide = true)]
    Readme(readme::Options),
}

/// Runs the tool, or the child that the tool has started, on this process's arguments.
pub fn main(linked: &[AllocatorEntry]) -> ExitCode {
    run(env::args_os().collect(), linked)
}

/// Runs the tool, or the child that the tool has started, on these arguments, the program's name
/// first.
pub fn run(arguments: Vec<OsString>, linked: &[AllocatorEntry]) -> ExitCode {
    if let Some(code) = child_main(&arguments, linked) {
        return code;
    }
    let parsed = Cli::try_parse_from(&arguments);
    let cli = parsed.unwrap_or_else(|error| suggesting(error, &arguments).exit());
    entry::code(work(&cli, linked)).into()
}

/// Behind `help` clap suggests nothing for a command that is mistyped: it is asked without `help`.
fn suggesting(error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let [program, help, command @ ..] = arguments else { return error };
    if help != "help" {
        return error;
    }
    match Cli::try_parse_from([program].into_iter().chain(command)) {
        Err(suggests) if suggests.kind() == error.kind() => suggests,
        _ => error,
    }
}

fn work(cli: &Cli, linked: &[AllocatorEntry]) -> Result<u8> {
    match &cli.command {
        None => run::run(&cli.run, linked),
        Some(Command::Replay(options)) => replay::run(options),
        Some(Command::Shrink(options)) => shrink::run(options),
        Some(Command::Join(options)) => join::run(options),
        Some(Command::Inject(options)) => inject::run(options, linked),
        Some(Command::Bench(options)) => bench::tool::run(options),
        Some(Command::Cost(options)) => cost::tool::run(options, linked),
        Some(Command::Conform(options)) => drystone_conform::tool::run(options),
        Some(Command::Programs(options)) => programs::tool::run(options),
        Some(Command::Readme(options)) => readme::run(options),
        Some(Command::Zoo(options)) => zoo::run(options),
        Some(Command::Completions(options)) => completions::run(options, Cli::command()),
        Some(Command::Manual(options)) => manual(options),
    }
}

/// Writes the tool's pages for `man`.
fn manual(options: &manual::Options) -> Result<u8> {
    options.write(Cli::command(), entry::INSTALLED)?;
    Ok(exit::FINE)
}

/// Runs the child of any of the tools, if these are a child's arguments.
pub fn child_main(arguments: &[OsString], linked: &[AllocatorEntry]) -> Option<ExitCode> {
    let tools: [Tool<'_>; 5] = [
        (job::TOOL, &|run| child::main(run, linked)),
        (cost::job::TOOL, &|job| cost::child::main(job, linked)),
        (bench::job::TOOL, &bench::child::main),
        (programs::command::TOOL, &programs::command::child_main),
        (drystone_conform::protocol::job::TOOL, &drystone_conform::child_main::main),
    ];
    dispatch(arguments, &tools).map(ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_holds_together() {
        Cli::command().debug_assert();
    }
}
