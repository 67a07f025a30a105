//! `results trend`: figures over history, from comparisons with one pinned reference.

use anyhow::{Result, ensure};

use super::options::TrendArguments;
use crate::decide::Judged;
use crate::evidence::Evidence;
use crate::exit::FINE;
use crate::output::print;
use crate::report::{self, Series};

/// Runs the subcommand; prints a table, and writes a page if it was asked for.
///
/// # Errors
/// If a file cannot be used, or two have different references or programs.
pub fn run(arguments: &TrendArguments) -> Result<u8> {
    let mut history = Vec::new();
    for path in &arguments.files {
        history.push(Judged::of(Evidence::read(path)?));
    }
    // Dates of one form sort as text.
    history.sort_by(|a, b| a.header.started.cmp(&b.header.started));
    for judged in &history {
        let (header, first) = (&judged.header, &history[0].header);
        ensure!(
            header.a.artifact == first.a.artifact,
            "A of the comparison begun {} is not that of {}: times are ratios to one reference, so \
             compare each commit with the same archive",
            header.started,
            first.started
        );
    }
    let history: Vec<&Judged> = history.iter().collect();
    let series = Series::all(&history);
    print(&report::trend(&history, &series))?;
    if let Some(path) = &arguments.html {
        super::options::write_page(path, &report::trend_page(&history, &series))?;
    }
    Ok(FINE)
}
