//! The command line, and the plan that it asks for.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use drystone_harness::allocators::{
    self, Allocator, AllocatorError, Folders, MIMALLOC, SYSTEM, distinct,
};
use drystone_harness::output::format::Printing;
use drystone_harness::seed::Seed;
use drystone_harness::text::{pattern, suggest};
use drystone_workloads::cli::duration;
use drystone_workloads::committed::NoTraces;
use regex::Regex;
use thiserror::Error;

use crate::bench::suite::{self, Row};
use crate::bench::work::pairs::AtMost;

/// Measure allocators beside each other: time, peak resident set and faults of every row of the
/// suite
///
/// Each measurement is a process of its own with the allocator preloaded. The first allocator is
/// the one that is judged; it runs twice a round, and the difference of its two runs is each row's
/// A/A spread. Exit codes: 0 every measurement was made; 1 an allocator crashed, hung or gave a
/// wrong answer; 2 wrong usage or a failure of the tool; 3 stopped before the end.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    /// What else to measure.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Who is measured.
    #[command(flatten)]
    pub who: Who,

    /// Only rows whose names match [default: the whole suite]
    #[arg(long, value_name = "REGEX", value_parser = pattern::parse)]
    pub row: Option<Regex>,

    /// How often each row is measured with each allocator, at least 3 [default: 7; with --quick, 3]
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,

    /// Short rows, for a smoke run: the figures say nothing
    #[arg(long)]
    pub quick: bool,

    /// The allocator that ratios are to [default: mimalloc, else system]
    #[arg(long, value_name = "NAME")]
    pub against: Option<String>,

    /// The seed of the order of measurements [default: drawn, and printed]
    #[arg(long, value_name = "SEED")]
    pub seed: Option<Seed>,

    /// When a measurement is given up: 500ms, 90s, 2m
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s")]
    pub deadline: Duration,

    /// Write every figure into this file too, as lines of CSV: row, allocator, figure, unit, value
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// List allocators and rows, and stop
    #[arg(long)]
    pub list: bool,
}

/// More than the suite.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Count the instructions of warm pairs of an allocation and a free, under callgrind
    Instructions {
        /// Who is measured.
        #[command(flatten)]
        who: Who,

        /// Fail if a pair of the first allocator executes more; repeatable, such as malloc/32=49
        #[arg(long, value_name = "CALL=NUMBER")]
        at_most: Vec<AtMost>,
    },
}

/// Who is measured, and how that is printed.
#[derive(Args, Clone, Debug)]
pub struct Who {
    /// An allocator: a name that --list shows, a shared library, or a library under a name of your
    /// own; repeatable [default: all that are here, libdrystone.so first]
    #[arg(long = "allocator", alias = allocators::OLD_OPTION, value_name = allocators::VALUE)]
    pub allocators: Vec<String>,

    /// How the report is printed.
    #[command(flatten)]
    pub printing: Printing,
}

/// The measurements that the options ask for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of their order.
    pub seed: Seed,
    /// How often each is made.
    pub rounds: u32,
    /// Whether rows are cut short.
    pub quick: bool,
    /// Whether these are all rows.
    pub whole: bool,
    /// When one is given up.
    pub deadline: Duration,
    /// Who is measured; the first is judged.
    pub allocators: Vec<Allocator>,
    /// The place of the one that ratios are to.
    pub against: usize,
    /// What is measured.
    pub rows: Vec<Row>,
}

/// Fewer have no quartiles.
const FEWEST_ROUNDS: u32 = 3;

/// Options that ask for nothing that there is.
#[derive(Debug, Error)]
pub enum PlanError {
    /// So many rounds have no quartiles.
    #[error("--rounds {0}: fewer than {FEWEST_ROUNDS} say nothing about their spread")]
    TooFewRounds(u32),
    /// An allocator can't be measured.
    #[error(transparent)]
    Allocator(#[from] AllocatorError),
    /// There are no traces.
    #[error(transparent)]
    Suite(#[from] NoTraces),
    /// The filter leaves nothing.
    #[error("--row {0} matches no row; --list shows them all")]
    NoRow(Regex),
    /// Ratios to an allocator that is not measured; with a suggestion.
    #[error("{0}; --against takes one that is measured")]
    NotMeasured(String),
}

/// How many rounds are made, if `asked` for: seven else, and the fewest when in a hurry.
///
/// # Errors
/// They are too few.
pub fn rounds(asked: Option<u32>, quick: bool) -> Result<u32, PlanError> {
    let rounds = asked.unwrap_or(if quick { FEWEST_ROUNDS } else { 7 });
    if rounds < FEWEST_ROUNDS {
        return Err(PlanError::TooFewRounds(rounds));
    }
    Ok(rounds)
}

impl Options {
    /// The measurements that these options ask for.
    ///
    /// # Errors
    /// They ask for what there is not.
    pub fn plan(&self, folders: &Folders) -> Result<Plan, PlanError> {
        let rounds = rounds(self.rounds, self.quick)?;
        let allocators = self.who.chosen(folders)?;
        let against = self.against(&allocators)?;
        let mut rows = suite::rows(self.quick)?;
        let suite = rows.iter().filter(|row| row.is_of_the_suite()).count();
        match &self.row {
            Some(filter) => rows.retain(|row| filter.is_match(&row.name)),
            None => rows.retain(Row::is_of_the_suite),
        }
        if let (Some(filter), true) = (&self.row, rows.is_empty()) {
            return Err(PlanError::NoRow(filter.clone()));
        }
        // With a row besides, the means would be of something else.
        let whole = rows.len() == suite && rows.iter().all(Row::is_of_the_suite);
        Ok(Plan {
            seed: self.seed.unwrap_or_else(Seed::random),
            rounds,
            quick: self.quick,
            whole,
            deadline: self.deadline,
            allocators,
            against,
            rows,
        })
    }

    fn against(&self, allocators: &[Allocator]) -> Result<usize, PlanError> {
        let place = |name: &str| allocators.iter().position(|allocator| allocator.name == name);
        match &self.against {
            Some(name) => place(name).ok_or_else(|| {
                let names: Vec<&str> = allocators.iter().map(|one| one.name.as_str()).collect();
                PlanError::NotMeasured(suggest::reject("allocator", name, &names))
            }),
            None => Ok(place(MIMALLOC).or_else(|| place(SYSTEM)).unwrap_or(0)),
        }
    }
}

impl Who {
    /// Those that were asked for, or all.
    ///
    /// # Errors
    /// One can't be measured.
    pub fn chosen(&self, folders: &Folders) -> Result<Vec<Allocator>, AllocatorError> {
        if self.allocators.is_empty() {
            return folders.all();
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
    fn without_libraries_the_system_is_measured_against_itself() {
        let plan = plan(&[]).unwrap();
        assert_eq!((plan.allocators.len(), plan.against, plan.rounds), (1, 0, 7));
        assert!(plan.whole && !plan.quick);
    }

    #[test]
    fn rows_are_chosen_by_their_names() {
        let plan = plan(&["--row", "^pair/", "--quick"]).unwrap();
        assert_eq!((plan.rows.len(), plan.rounds, plan.whole), (7, 3, false));
    }

    #[test]
    fn usage_errors_name_the_argument() {
        for (arguments, expected) in [
            (&["--rounds", "2"][..], "--rounds 2: fewer than 3"),
            (&["--row", "nothing"], "--row nothing matches no row"),
            (&["--row", "("], "`(` is no regular expression: unclosed group"),
            (&["--against", "mimalloc"], "--against takes one that is measured"),
            (
                &["--allocator", "system", "--allocator", "system"],
                "two allocators are called system",
            ),
            (&["--allocator", "=x.so"], "write a name before the equals sign"),
        ] {
            let rejected = plan(arguments).unwrap_err().to_string();
            assert!(rejected.contains(expected), "{arguments:?}: {rejected}");
        }
    }
}
