//! Printing: a comparison as a table, as Markdown or as JSON. Decides nothing.

mod figures;
mod json;
mod markdown;
mod summary;
mod table;

#[cfg(test)]
mod tests;

pub use json::json;
pub use markdown::markdown;
pub use table::table;

/// The columns of the table and of Markdown.
const COLUMNS: [&str; 8] =
    ["benchmark", "A", "B", "change", "interval", "detectable", "processes", "verdict"];

/// A row's cells, in the order of [`COLUMNS`].
fn cells(row: &crate::records::judge::Row) -> [String; 8] {
    use figures::{change, interval, time};
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
