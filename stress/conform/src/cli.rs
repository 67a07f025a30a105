//! The command line, and how a plan comes of it.

use std::num::NonZero;
use std::thread;
use std::time::Duration;

use clap::Args;
use drystone_harness::allocators::{AllocatorError, Folders, OLD_OPTION, VALUE, distinct};
use drystone_harness::output::format::Printing;
use drystone_harness::text::pattern;
use drystone_workloads::cli::duration;
use regex::Regex;
use thiserror::Error;

use crate::allocators::{self, Allocator};
use crate::checks;
use crate::mistake;
use crate::plan::{Plan, Scoring};
use crate::row::Row;

/// Check an allocator against what C23, POSIX, the man pages and the C library's manual ask of
/// malloc, and score what it makes of a program's mistakes
///
/// Each row is a process of its own with the allocator preloaded. Rows of semantics must pass;
/// where the standards leave the choice, the allocator's answer is recorded. Misuse is scored, and
/// judged only for libdrystone.so, which promises to report every double and invalid free; benign
/// twins of the mistakes must pass for everyone. Exit codes: 0 all that was judged has passed; 1
/// something failed, crashed or hung; 2 wrong usage or a failure of the tool; 3 stopped before the
/// end, or a row that can't be checked here.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// An allocator: a name that --list shows, a shared library, or a library under a name of your
    /// own; repeatable [default: system, and libdrystone.so with and without its quarantine, if it
    /// is built]
    #[arg(long = "allocator", alias = OLD_OPTION, value_name = VALUE)]
    pub allocators: Vec<String>,

    /// A variable of the environment of every allocator; repeatable
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = allocators::variable)]
    pub env: Vec<(String, String)>,

    /// Only rows whose names match [default: all]
    #[arg(long, value_name = "REGEX", value_parser = pattern::parse)]
    pub row: Option<Regex>,

    /// When a row is given up: 500ms, 90s, 2m
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s")]
    pub deadline: Duration,

    /// Rows at once [default: the cores]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZero<usize>>,

    /// List allocators and rows, with their sources, and stop
    #[arg(long)]
    pub list: bool,

    /// How the report is printed.
    #[command(flatten)]
    pub printing: Printing,
}

/// Options that ask for nothing that there is.
#[derive(Debug, Error)]
pub enum PlanError {
    /// An allocator can't be judged.
    #[error(transparent)]
    Allocator(#[from] AllocatorError),
    /// The filter leaves nothing.
    #[error("--row {0} matches no row; --list shows them all")]
    NoRow(Regex),
}

impl Options {
    /// What these options ask for.
    ///
    /// # Errors
    /// They ask for what there is not.
    pub fn plan(&self, folders: &Folders) -> Result<Plan, PlanError> {
        let allocators = self.chosen(folders)?;
        let wanted = |name: &str| self.row.as_ref().is_none_or(|filter| filter.is_match(name));
        let rows: Vec<&'static Row> = checks::rows().filter(|row| wanted(row.name)).collect();
        let mistakes: Vec<Scoring> = mistake::all()
            .map(|(mistake, size)| Scoring {
                mistake,
                size,
                made: wanted(&mistake::row_name(mistake, size, false)),
                twin: wanted(&mistake::row_name(mistake, size, true)),
            })
            .filter(|scoring| scoring.made || scoring.twin)
            .collect();
        if let Some(filter) = &self.row
            && rows.is_empty()
            && mistakes.is_empty()
        {
            return Err(PlanError::NoRow(filter.clone()));
        }
        let jobs = self.jobs.map_or_else(cores, NonZero::get);
        Ok(Plan { allocators, rows, mistakes, deadline: self.deadline, jobs })
    }

    fn chosen(&self, folders: &Folders) -> Result<Vec<Allocator>, AllocatorError> {
        if self.allocators.is_empty() {
            return allocators::usual(folders, &self.env);
        }
        let choose = |text: &str| allocators::choose(text, folders, &self.env);
        distinct(&self.allocators, choose, |one| &one.name)
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(2, NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;
    use drystone_harness::fixtures::{self, Rejected};

    fn plan(arguments: &[&str]) -> Result<Plan, Rejected> {
        fixtures::plan(arguments, Options::plan)
    }

    #[test]
    fn rows_are_chosen_by_their_names() {
        let chosen = plan(&["--row", "^zero/"]).unwrap();
        assert!(!chosen.rows.is_empty() && chosen.mistakes.is_empty());
        let chosen = plan(&["--row", "^misuse/double-free-immediate/8B$"]).unwrap();
        assert!(chosen.rows.is_empty() && chosen.mistakes.len() == 1);
        assert!(chosen.mistakes[0].made && !chosen.mistakes[0].twin);
        let chosen = plan(&[]).unwrap();
        assert!(chosen.mistakes.iter().all(|scoring| scoring.made && scoring.twin));
        assert_eq!(chosen.allocators.len(), 1);
    }

    #[test]
    fn usage_errors_name_the_argument() {
        for (arguments, expected) in [
            (&["--row", "no such"][..], "--row no such matches no row"),
            (&["--row", "("], "`(` is no regular expression: unclosed group"),
            (
                &["--allocator", "system", "--allocator", "system"],
                "two allocators are called system",
            ),
            (&["--allocator", "sistem"], "Did you mean `system`?"),
            (&["--allocator", "drystone-quarantine"], "build it: cargo build --release"),
            (&["--env", "DEBUG"], "`DEBUG` is no variable: write NAME=VALUE"),
            (&["--env", "LD_PRELOAD=x.so"], "LD_PRELOAD is set by --allocator"),
            (&["--jobs", "0"], "--jobs"),
        ] {
            let rejected = plan(arguments).err().unwrap().to_string();
            assert!(rejected.contains(expected), "{arguments:?}: {rejected}");
        }
    }
}
