//! What is printed: tables for a terminal, the same in Markdown, or JSON; and a file of CSV.

mod cells;
pub mod csv;
mod json;
mod looks;
pub mod table;
#[cfg(test)]
mod tests;

use std::io;

use drystone_harness::bounds::Bound;
use drystone_harness::output;

use crate::bench::campaign::Results;
use crate::bench::cli::Who;
use crate::bench::instructions::Count;

/// Writes what was measured and judged to standard output.
///
/// # Errors
/// Standard output can't be written.
pub fn results(results: &Results, bounds: &[Bound], who: &Who) -> io::Result<()> {
    output::print(
        who.printing,
        |shape, colored| {
            let looks = looks::tables(results, shape, colored);
            table::results(results, bounds, &looks, shape, colored)
        },
        || json::results(results, bounds),
    )
}

/// Writes what was counted to standard output.
///
/// # Errors
/// Standard output can't be written.
pub fn counts(counts: &[Count], who: &Who) -> io::Result<()> {
    output::print(
        who.printing,
        |shape, colored| table::counts(counts, shape, colored),
        || json::counts(counts),
    )
}
