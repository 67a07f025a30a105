//! The command line, and the plan that it asks for.

use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

use clap::Args;
use drystone_harness::allocators::{self, Allocator, AllocatorError, DRYSTONE, Folders, distinct};
use drystone_harness::output::format::Printing;
use drystone_harness::text::suggest;
use drystone_workloads::cli::duration;
use thiserror::Error;

use crate::programs::catalogue::{ALL, Program};

/// Run real programs under an allocator, and compare their output with that of runs without it
///
/// Each program runs once with its calls counted, which must be enough, and then in rounds, without
/// and with the allocator by turns, for time and peak. Exit codes: 0 every program is the same
/// under the allocator; 1 one is not; 2 wrong usage, a failure of the tool, or a program that fails
/// without any allocator preloaded; 3 a program is not here, or stopped before the end.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// An allocator: a name that --list shows, a shared library, or a library under a name of your
    /// own; repeatable [default: drystone, which is libdrystone.so]
    #[arg(long = "allocator", alias = allocators::OLD_OPTION, value_name = allocators::VALUE)]
    pub allocators: Vec<String>,

    /// A program of --list; repeatable [default: all]
    #[arg(long = "program", value_name = "NAME")]
    pub programs: Vec<String>,

    /// How often each program is measured (those that take long: once) [default: 3]
    #[arg(long, value_name = "N")]
    pub rounds: Option<NonZeroU32>,

    /// One round, and of Python's tests, which take long, only the run whose calls are counted
    #[arg(long, conflicts_with = "rounds")]
    pub quick: bool,

    /// Calls that the allocator must have served in each program
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub calls: u64,

    /// Programs at once [default: the cores and one more: some mostly sleep]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,

    /// When a command is given up: 90s, 5m
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "5m")]
    pub deadline: Duration,

    /// List allocators and programs, and stop
    #[arg(long)]
    pub list: bool,

    /// How the report is printed.
    #[command(flatten)]
    pub printing: Printing,
}

/// What is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the catalogue's order.
    pub programs: Vec<&'static Program>,
    /// Who is preloaded.
    pub allocators: Vec<Allocator>,
    /// How often each program is measured: see [`rounds_of`](Self::rounds_of).
    pub rounds: u32,
    /// Whether what takes long is not measured.
    pub quick: bool,
    /// Calls that must be served.
    pub calls: u64,
    /// Programs at once.
    pub jobs: usize,
    /// When a command is given up.
    pub deadline: Duration,
}

/// Options that ask for nothing that there is.
#[derive(Debug, Error)]
pub enum PlanError {
    /// No program has that name; with a suggestion.
    #[error("{0}")]
    NoProgram(String),
    /// An allocator can't be preloaded.
    #[error(transparent)]
    Allocator(#[from] AllocatorError),
}

impl Plan {
    /// How often a program is measured, beside the run whose calls are counted.
    pub fn rounds_of(&self, program: &Program) -> u32 {
        match (program.long, self.quick) {
            (true, true) => 0,
            (true, false) => 1,
            (false, _) => self.rounds,
        }
    }
}

impl Options {
    /// What these options ask for.
    ///
    /// # Errors
    /// They ask for what there is not.
    pub fn plan(&self, folders: &Folders) -> Result<Plan, PlanError> {
        let names: Vec<&str> = ALL.iter().map(|program| program.name).collect();
        if let Some(unknown) = self.programs.iter().find(|name| !names.contains(&name.as_str())) {
            return Err(PlanError::NoProgram(suggest::reject("program", unknown, &names)));
        }
        let chosen = |program: &&'static Program| {
            self.programs.is_empty() || self.programs.iter().any(|name| name == program.name)
        };
        let cores = thread::available_parallelism().map_or(2, usize::from);
        Ok(Plan {
            programs: ALL.iter().filter(chosen).collect(),
            allocators: self.chosen_allocators(folders)?,
            rounds: self.rounds.map_or(if self.quick { 1 } else { 3 }, NonZeroU32::get),
            quick: self.quick,
            calls: self.calls,
            jobs: self.jobs.map_or(cores + 1, usize::from),
            deadline: self.deadline,
        })
    }

    fn chosen_allocators(&self, folders: &Folders) -> Result<Vec<Allocator>, AllocatorError> {
        if self.allocators.is_empty() {
            return Ok(vec![folders.choose(DRYSTONE)?]);
        }
        distinct(&self.allocators, |text| folders.choose(text), |one| &one.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drystone_harness::fixtures::{self, Rejected};

    fn plan(arguments: &[&str]) -> Result<Plan, Rejected> {
        fixtures::plan(arguments, Options::plan)
    }

    #[test]
    fn programs_are_chosen_by_name() {
        let plan =
            plan(&["--allocator", "system", "--program", "perl", "--program", "git"]).unwrap();
        let names: Vec<_> = plan.programs.iter().map(|program| program.name).collect();
        assert_eq!((names, plan.rounds), (vec!["git", "perl"], 3));
    }

    #[test]
    fn quick_runs_all_and_measures_once_what_does_not_take_long() {
        let rounds = |arguments: &[&str]| {
            let plan = plan(&[&["--allocator", "system"], arguments].concat()).unwrap();
            assert_eq!(plan.programs.len(), ALL.len());
            let of = |name| ALL.iter().find(|program| program.name == name).unwrap();
            ["python-fork", "git"].map(|name| plan.rounds_of(of(name)))
        };
        assert_eq!(rounds(&[]), [1, 3]);
        assert_eq!(rounds(&["--rounds", "5"]), [1, 5]);
        assert_eq!(rounds(&["--quick"]), [0, 1]);
    }

    #[test]
    fn usage_errors_name_the_argument() {
        for (arguments, expected) in [
            (&["--allocator", "system", "--program", "pearl"][..], "Did you mean `perl`?"),
            (
                &["--allocator", "system", "--allocator", "system"],
                "two allocators are called system",
            ),
            (&[], "build it: cargo build --release"),
            (&["--rounds", "0"], "invalid value '0'"),
            (&["--rounds", "2", "--quick"], "cannot be used with"),
        ] {
            let rejected = plan(arguments).map(|_| ()).unwrap_err().to_string();
            assert!(rejected.contains(expected), "{arguments:?}: {rejected}");
        }
    }
}
