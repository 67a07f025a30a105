//! What is printed of a judged comparison: one sentence, then what is worse, then what is
//! undecided, then the rest.

mod beside;
mod command;
mod figures;
mod html;
mod json;
mod markdown;
mod sentence;
mod table;
mod tool;
mod trend;

pub use figures::{count, kib, time};
pub use html::frame::page;
pub use html::html;
pub use json::json;
pub use markdown::markdown;
pub use sentence::sentence;
pub use table::table;
pub use tool::{Kept, Promise, Told, calibration, list, selftest};
pub use trend::{Series, trend, trend_page};

#[cfg(test)]
mod tests;
