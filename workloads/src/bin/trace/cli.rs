//! The command line of `trace`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use drystone_workloads::cli::manual;
use drystone_workloads::cli::printing::Printing;

/// Packs and shows recorded allocation histories.
#[derive(Debug, Parser)]
#[command(name = INSTALLED, version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Turns a raw recording into the packed form, checking that it is a possible history
    Pack(Pack),
    /// Tells what a trace holds: operations by kind, sizes, threads, peak
    Show(Show),
    /// One line for each trace: command, operations, blocks, threads, peak, bytes of the file
    List(Files),
    /// What the replay itself takes: a trace's calls to functions that do nothing, timed
    Cost(Files),
    /// Write the tool's pages for `man` into a folder, one for each of its commands
    Manual(manual::Options),
}

/// The tool's name where it is installed.
pub const INSTALLED: &str = "drystone-trace";

/// `trace pack`
#[derive(Debug, Args)]
pub struct Pack {
    /// The recording that libdrystone_trace.so wrote (or a packed trace, to change its command)
    pub raw: PathBuf,
    /// Where the packed trace goes
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The command line to note in the trace, in place of the recorded one with its paths
    #[arg(long, value_name = "TEXT")]
    pub command: Option<String>,
}

/// `trace list` and `trace cost`
#[derive(Debug, Args)]
pub struct Files {
    /// Raw or packed traces
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// How they are printed.
    #[command(flatten)]
    pub printing: Printing,
}

/// `trace show`
#[derive(Debug, Args)]
pub struct Show {
    /// A raw or packed trace
    pub file: PathBuf,
    /// How it is printed.
    #[command(flatten)]
    pub printing: Printing,
}
