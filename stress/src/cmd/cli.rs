//! The one tree of all that `cargo stress` is told.

use clap::{Parser, Subcommand};
use drystone_conform::cli as conform;
use drystone_measure::{bench, programs};

use crate::cmd::{completions, cost, inject, join, replay, shrink};
use crate::plan::options;

// Its documentation is that of the options that are flattened into it: clap prints it.
#[derive(Debug, Parser)]
#[command(name = "cargo stress", bin_name = "cargo stress", version, max_term_width = 80)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) run: options::Options,
}

// The same: the documentation of a subcommand is that of its options.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Replay(replay::Options),
    Shrink(shrink::Options),
    Join(join::Options),
    #[command(visible_alias = "refuse")]
    Inject(inject::Options),
    Bench(bench::cli::Options),
    Cost(cost::cli::Options),
    Conform(conform::Options),
    Programs(programs::cli::Options),
    Completions(completions::Options),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_tree_holds_together() {
        Cli::command().debug_assert();
    }
}
