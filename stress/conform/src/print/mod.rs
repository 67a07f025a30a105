//! What is printed: tables for a terminal, the same in Markdown, or JSON.

mod json;
mod table;
#[cfg(test)]
mod tests;

use std::io;

use drystone_harness::output;
use drystone_harness::output::format::Printing;

use crate::results::Results;

/// Writes the report to standard output.
///
/// # Errors
/// Standard output can't be written.
pub fn results(results: &Results, printing: Printing) -> io::Result<()> {
    output::print(
        printing,
        |shape, colored| table::results(results, shape, colored),
        || json::results(results),
    )
}
