//! Geometric means of an allocator's ratios to the one that ratios are to, over the suite's rows.

use drystone_harness::stats::geometric_mean;

use crate::bench::bounds::{SMALLEST_PEAK, in_the_means};
use crate::bench::campaign::{Results, RowResults};
use crate::bench::suite::Row;

/// A figure of an allocator in a row.
pub type Figure = fn(&RowResults, usize) -> Option<f64>;

/// A mean, and of how many rows it is: of fewer than all, where one has no figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean of the ratios.
    pub ratio: f64,
    /// How many rows have one.
    pub rows: usize,
}

/// The suite's rows, those that are not means of anything left out.
pub fn rows(results: &Results) -> impl Iterator<Item = (&Row, &RowResults)> {
    let rows = results.plan.rows.iter().zip(&results.rows);
    rows.filter(|(row, _)| in_the_means(row.kind))
}

/// The mean of a figure, of which less than `least` counts as that.
pub fn mean(results: &Results, allocator: usize, figure: Figure, least: f64) -> Option<Mean> {
    let against = results.plan.against;
    let ratio = |(_, row): (&Row, &RowResults)| {
        Some(figure(row, allocator)?.max(least) / figure(row, against)?.max(least))
    };
    let ratios: Vec<f64> = rows(results).filter_map(ratio).collect();
    Some(Mean { ratio: geometric_mean(&ratios)?, rows: ratios.len() })
}

/// The mean of the times.
pub fn time(results: &Results, allocator: usize) -> Option<Mean> {
    mean(results, allocator, RowResults::nanoseconds, 0.0)
}

/// The mean of the peaks above the driver's own.
pub fn peak(results: &Results, allocator: usize) -> Option<Mean> {
    mean(results, allocator, RowResults::peak, SMALLEST_PEAK)
}
