//! What is printed of a judged comparison: one sentence, then what is worse, then what is
//! undecided, then the rest.

mod beside;
mod calibration;
mod command;
mod figures;
mod html;
mod json;
mod markdown;
mod selftest;
mod sentence;
mod table;
mod trend;

pub use calibration::calibration;
pub use figures::{count, kib, time};
pub use html::frame::page;
pub use html::html;
pub use json::json;
pub use markdown::markdown;
pub use selftest::{Promise, Told, selftest};
pub use sentence::sentence;
pub use table::table;
pub use trend::{Series, trend, trend_page};

#[cfg(test)]
mod tests;
