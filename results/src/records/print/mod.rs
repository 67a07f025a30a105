//! Printing: a comparison as a table, as Markdown or as JSON. Decides nothing.

mod cells;
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
