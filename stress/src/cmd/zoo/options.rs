//! What the zoo is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use drystone_harness::output::format::Printing;
use drystone_harness::seed::Seed;
use drystone_workloads::cli::duration;

/// Plant faults in a copy of the allocator's source, and see which are found
///
/// Each fault is planted alone, and the default run is made against it until it is found or its
/// time is up. Needs the source: it stands at the root of a clone. Exit codes: 0 every fault that
/// shows from outside was found, and the clean build gave no finding; 1 one was not, or it did; 2
/// wrong usage, or a patch that no longer applies.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Faults by name, or by a part of it [default: all]
    #[arg(value_name = "FAULT")]
    pub names: Vec<String>,

    /// Hunt those too that do not show from outside, which loom or a test finds
    #[arg(long)]
    pub all: bool,

    /// How long each is hunted by the default run
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse, default_value = "60s")]
    pub time: Duration,

    /// How often each is hunted, from as many seeds
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seeds: u64,

    /// The first seed
    #[arg(long, value_name = "SEED", default_value = "1")]
    pub seed: Seed,

    /// Hunt so many of them only, drawn by the commit, so that other commits hunt others
    #[arg(long, value_name = "N")]
    pub sample: Option<usize>,

    /// Stop after this time, with the faults that were hunted so far
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub within: Option<Duration>,

    /// Leave out the conformance suite and the replays
    #[arg(long)]
    pub quick: bool,

    /// Write the table, in Markdown, between the markers of this file
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,

    /// List the faults, and stop
    #[arg(long)]
    pub list: bool,

    /// How the report is printed.
    #[command(flatten)]
    pub printing: Printing,
}
