//! The subcommands, a file each, and the tool from its arguments to its exit code, for a given set
//! of linked allocators.
//!
//! | file | command |
//! |---|---|
//! | [`run`](mod@run), [`list`], [`report`] | `cargo stress` itself: a campaign; `--list`; its report |
//! | [`replay`], [`shrink`], [`join`] | what is done with findings and records |
//! | [`inject`] | failures of the OS |
//! | [`cost`] | the checker's own costs |
//! | [`completions`] | for shells |
//! | `cli` | the tree of them all; the options of `bench`, `conform`, `programs` are theirs |

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};
use drystone_harness::entry;
use drystone_harness::process::child::{Tool, dispatch};
use drystone_measure::{bench, programs};

use crate::allocators::process::AllocatorEntry;
use crate::child;
use crate::cmd::cli::{Cli, Command};
use crate::model::job;

pub(crate) mod cli;
pub mod completions;
pub mod cost;
pub mod inject;
pub mod join;
pub mod list;
pub mod replay;
pub mod report;
pub mod run;
pub mod shrink;

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
    let cli = Cli::parse_from(arguments);
    entry::code(work(&cli, linked)).into()
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
        Some(Command::Completions(options)) => completions::run(options, Cli::command()),
    }
}

/// Runs the child of any of the tools, if these are a child's arguments.
pub fn child_main(arguments: &[OsString], linked: &[AllocatorEntry]) -> Option<ExitCode> {
    let tools: [Tool<'_>; 5] = [
        (job::TOOL, &|run| child::main(run, linked)),
        (cost::child::TOOL, &|job| cost::child::main(job, linked)),
        (bench::job::TOOL, &bench::child::main),
        (programs::command::TOOL, &programs::command::child_main),
        (drystone_conform::protocol::job::TOOL, &drystone_conform::child_main::main),
    ];
    dispatch(arguments, &tools).map(ExitCode::from)
}
