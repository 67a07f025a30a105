//! Cells of tables: figures as they are written, and what stands where there is none.

use comfy_table::{Cell, Color};
use drystone_harness::output::table::{Shape, Table};
use drystone_harness::text::units;

use crate::bench::campaign::RowResults;

/// A table of figures behind names.
pub fn of_figures(shape: Shape, colored: bool, columns: &[&str]) -> Table {
    let mut table = Table::new(shape, colored, columns.iter().copied());
    table.right(1..columns.len());
    table
}

/// What stands where an allocator has no figure.
pub(super) fn missing(table: &Table, row: &RowResults, allocator: usize) -> Cell {
    match &row.entries[allocator].failure {
        Some(failure) => table.paint(&failure.short, Color::Red),
        None => Cell::new("–"),
    }
}

/// A time, with three digits or whole.
pub(super) fn nanoseconds(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        10.0..1000.0 => format!("{value:.1}"),
        _ => units::count(value.round() as u64),
    }
}

/// A number without its fraction.
pub(super) fn whole(value: f64) -> String {
    let sign = if value <= -0.5 { "-" } else { "" };
    format!("{sign}{}", units::count(value.abs().round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_or_are_whole() {
        assert_eq!(
            [0.5, 9.99, 10.0, 999.0, 1234.5].map(nanoseconds),
            ["0.50", "9.99", "10.0", "999.0", "1,235"]
        );
        assert_eq!([0.2, 1234.0, -12.0, -0.2].map(whole), ["0", "1,234", "-12", "0"]);
    }
}
