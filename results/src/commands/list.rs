//! `results list`: what is kept.

use anyhow::Result;

use super::options::ListArguments;
use crate::build::Home;
use crate::calibration::Calibration;
use crate::decide::Judged;
use crate::evidence::Evidence;
use crate::exit::FINE;
use crate::output::print;
use crate::report::{self, Kept};

/// Runs the subcommand; prints a list.
///
/// # Errors
/// If the folder cannot be read. A file in it that is damaged is said to be so.
pub fn run(arguments: &ListArguments) -> Result<u8> {
    let home = Home::open()?;
    let mut runs = home.runs()?;
    let all = runs.len();
    runs.truncate(arguments.last);
    let runs = runs.into_iter().map(|path| {
        let judged = Evidence::read(&path).map(Judged::of);
        Kept { path, what: judged.map_err(|error| format!("{error:#}")) }
    });
    let calibrations = home.calibrations()?.into_iter().filter_map(|path| {
        let read = Calibration::read(&path).transpose()?;
        Some(Kept { path, what: read.map_err(|error| format!("{error:#}")) })
    });
    let (runs, calibrations): (Vec<_>, Vec<_>) = (runs.collect(), calibrations.collect());
    print(&report::list(home.path(), home.size()?, (&runs, all), &calibrations))?;
    Ok(FINE)
}
