//! The command line, and the plan that it asks for.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use drystone_checker::schedule::Rates;
use drystone_harness::allocators::{self, Allocator, AllocatorError, Folders};
use drystone_harness::output::format::Printing;
use drystone_harness::seed::Seed;
use drystone_measure::bench::cli::rounds;
use drystone_workloads::cli::duration;

use crate::allocators::process::AllocatorEntry;
use crate::model::spec::{self, Length, Spec};
use crate::plan::choose::choose;

/// Measure the checker's own costs: how fast the same operations are with every check, with none,
/// and with each alone, and how much memory it takes for each live block
///
/// The workload is `mixed` with sizes to 1 KiB, its operations drawn beforehand; every measurement
/// is a process of its own. Exit codes: 0 every bound is met, or with --quick nothing is judged but
/// the memory; 1 one is missed by more than the rounds' own spread, or an allocator failed; 2 wrong
/// usage or a failure of the tool; 3 stopped before the end, or a bound is missed by no more than
/// the spread.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// An allocator: a name of cargo stress --list, a shared library, or a library under a name of
    /// your own; repeatable [default: linked:list, linked:drystone, system]
    #[arg(long = "allocator", alias = allocators::OLD_OPTION, value_name = allocators::VALUE)]
    pub allocators: Vec<String>,

    /// How often each measurement is made, at least 3 [default: 7; with --quick, 3]
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,

    /// Threads
    #[arg(long, value_name = "N", default_value = "2")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,

    /// Few operations, for a smoke run: the times say nothing
    #[arg(long)]
    pub quick: bool,

    /// The seed of operations and of the order of measurements [default: drawn, and printed]
    #[arg(long, value_name = "SEED")]
    pub seed: Option<Seed>,

    /// When a measurement is given up: 500ms, 90s, 2m
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s")]
    pub deadline: Duration,

    /// How the report is printed.
    #[command(flatten)]
    pub printing: Printing,
}

/// The measurements that the options ask for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of operations and order.
    pub seed: Seed,
    /// How often each is made.
    pub rounds: u32,
    /// Whether they are cut short.
    pub quick: bool,
    /// Worker threads.
    pub threads: usize,
    /// Who is measured, and what with.
    pub allocators: Vec<Spec>,
    /// Operations of each thread in a part.
    pub operations: usize,
    /// Parts of a measurement.
    pub parts: u32,
}

/// Measured if none is named.
const DEFAULT: [&str; 3] = ["linked:list", "linked:drystone", "system"];

/// At so many live blocks the memory is looked at: one more than a table of blocks has room for
/// before it doubles.
pub const BLOCKS: [usize; 2] = [(1 << 16) + 1, (1 << 18) + 1];

impl Options {
    /// The measurements that these options ask for.
    ///
    /// # Errors
    /// A sentence that names what to change.
    pub fn plan(&self, linked: &[AllocatorEntry], folders: &Folders) -> Result<Plan> {
        let rounds = rounds(self.rounds, self.quick)?;
        let seed = self.seed.unwrap_or_else(Seed::random);
        let threads = usize::from(self.threads);
        let (workload, settings) = spec::parse_workload("mixed:largest=1K")?;
        let spec = |Allocator { name, library, .. }| Spec {
            library,
            settings: settings.clone(),
            disturb: Rates::DEFAULT,
            ..Spec::new(&name, workload, threads, seed, Length::Once)
        };
        let (operations, parts) = if self.quick { (2_000, 1) } else { (200_000, 5) };
        let allocators = self.chosen(linked, folders)?.into_iter().map(spec).collect();
        Ok(Plan { seed, rounds, quick: self.quick, threads, allocators, operations, parts })
    }

    fn chosen(
        &self,
        linked: &[AllocatorEntry],
        folders: &Folders,
    ) -> Result<Vec<Allocator>, AllocatorError> {
        let default = DEFAULT.map(str::to_owned);
        let chosen = if self.allocators.is_empty() { &default[..] } else { &self.allocators };
        choose(chosen, linked, folders)
    }
}
