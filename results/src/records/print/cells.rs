//! The columns that the table and Markdown share, and a row's cells in them.

use super::figures::{change, interval, time};
use crate::records::judge::Row;

/// The columns of the table and of Markdown.
pub const COLUMNS: [&str; 8] =
    ["benchmark", "A", "B", "change", "interval", "detectable", "processes", "verdict"];

/// A row's cells, in the order of [`COLUMNS`].
pub fn cells(row: &Row) -> [String; 8] {
    let or_dash = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    let of = row.change;
    [
        row.id.clone(),
        or_dash(row.a.map(time)),
        or_dash(row.b.map(time)),
        or_dash(of.map(|of| change(of.estimate))),
        or_dash(of.and_then(|of| of.interval).map(interval)),
        or_dash(of.and_then(|of| of.detectable).map(change)),
        format!("{}/{}", row.processes[0], row.processes[1]),
        row.verdict.name().to_owned(),
    ]
}
