//! `results trend`: figures over history, from comparisons with one pinned reference.

use anyhow::{Result, ensure};

use super::options::TrendArguments;
use crate::decide::{Judged, change_points};
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
    let series = series(&history);
    print(&report::trend(&history, &series))?;
    if let Some(path) = &arguments.html {
        super::options::write_page(path, &report::trend_page(&history, &series))?;
    }
    Ok(FINE)
}

/// One for each figure that any comparison has; changes are looked for in each.
fn series(history: &[Judged]) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for (at, judged) in history.iter().enumerate() {
        for (name, value) in figures(judged) {
            let known = all.iter().position(|series| series.name == name);
            let place = known.unwrap_or_else(|| {
                all.push(Series { name, values: Vec::new(), changes: Vec::new() });
                all.len() - 1
            });
            all[place].values.push((at, value));
        }
    }
    for series in &mut all {
        let values: Vec<f64> = series.values.iter().map(|(_, value)| *value).collect();
        // Of another program a row is another row: a change there is the program's.
        series.changes =
            change_points(&values).into_iter().map(|place| series.values[place].0).collect();
    }
    all
}

/// Times as ratios to A; instructions and memory of B as they are.
fn figures(judged: &Judged) -> Vec<(String, f64)> {
    let times = judged.tables.rows.iter().filter_map(|row| {
        Some((format!("{} time / reference", row.name), row.judge.values().median()?.exp()))
    });
    let counts = judged
        .instructions
        .iter()
        .map(|counted| (format!("{} instructions", counted.row), counted.counts[1]));
    let peaks = judged.memory.iter().filter(|memory| memory.figure == "peak");
    let peaks = peaks.map(|memory| (format!("{} peak KiB", memory.row), memory.medians[1]));
    times.chain(counts).chain(peaks).collect()
}
