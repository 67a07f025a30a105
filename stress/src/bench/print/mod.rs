//! What is printed: tables for a terminal, the same in Markdown, or JSON.

mod json;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use super::bounds::Bound;
use super::campaign::Results;
use super::cli::Who;
use super::instructions::Count;
use crate::cli::Format;
use crate::report::colored;

/// Writes what was measured and judged to standard output.
///
/// # Errors
/// Standard output can't be written.
pub fn results(results: &Results, bounds: &[Bound], who: &Who) -> io::Result<()> {
    write(&match who.printing.format {
        Format::Table => {
            table::results(results, bounds, table::Shape::Table, colored(who.printing.color))
        }
        Format::Markdown => table::results(results, bounds, table::Shape::Markdown, false),
        Format::Json => json::results(results, bounds),
    })
}

/// Writes what was counted to standard output.
///
/// # Errors
/// Standard output can't be written.
pub fn counts(counts: &[Count], who: &Who) -> io::Result<()> {
    write(&match who.printing.format {
        Format::Table => table::counts(counts, table::Shape::Table, colored(who.printing.color)),
        Format::Markdown => table::counts(counts, table::Shape::Markdown, false),
        Format::Json => json::counts(counts),
    })
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
