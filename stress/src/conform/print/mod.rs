//! What is printed: tables for a terminal, the same in Markdown, or JSON.

mod json;
mod table;

use std::io::{self, Write};

use super::campaign::Results;
use crate::cli::{Format, Printing};
use crate::report::colored;

/// Writes the report to standard output.
///
/// # Errors
/// Standard output can't be written.
pub fn results(results: &Results, printing: Printing) -> io::Result<()> {
    let text = match printing.format {
        Format::Table => table::results(results, table::Shape::Table, colored(printing.color)),
        Format::Markdown => table::results(results, table::Shape::Markdown, false),
        Format::Json => json::results(results),
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
