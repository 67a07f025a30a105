//! What is printed of a judged comparison: one sentence, then what is worse, then what is
//! undecided, then the rest.

mod beside;
mod figures;
mod json;
mod markdown;
mod sentence;
mod table;

pub use json::json;
pub use markdown::markdown;
pub use table::table;

#[cfg(test)]
mod tests;
