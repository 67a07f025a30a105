//! `results selftest`: known changes, and how often each is found.
//!
//! `plants` says what is planted and what is promised of it; `aim` finds how strong a plant must be
//! to measure as much as its name says; `live` runs comparisons, `resampled` draws them from
//! recorded processes. The two are never added up.

mod aim;
mod live;
mod plants;
mod resampled;

use anyhow::Result;

use super::options::SelftestArguments;
use crate::exit::{FINE, REGRESSION};
use crate::interrupt::Interrupt;
use crate::report;

/// Runs the subcommand; prints a table.
///
/// # Errors
/// If the side does not build, or the file holds nothing to draw from.
pub fn run(arguments: &SelftestArguments, interrupt: &Interrupt) -> Result<u8> {
    let (title, told) = match &arguments.resample {
        Some(path) => resampled::run(path, arguments.seed)?,
        None => live::run(arguments, interrupt)?,
    };
    let broken = told.iter().any(|one| one.is_broken());
    crate::output::print(&report::selftest(&title, &told))?;
    Ok(if broken { REGRESSION } else { FINE })
}
