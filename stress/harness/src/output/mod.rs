//! What is printed, and how it is asked for.

pub mod format;
pub mod progress;
pub mod table;

pub use table::{json, print, write};
