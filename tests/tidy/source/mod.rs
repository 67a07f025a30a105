//! One Rust file, read by `syn`: what the checks know of it.
//!
//! `facts` (the data) < `tokens` (comments, identifiers, strings, paths in macros) < `read`
//! (items).

pub mod facts;
mod read;
mod tokens;

pub use read::read;
