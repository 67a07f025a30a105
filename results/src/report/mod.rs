//! What is printed of a judged comparison: one sentence, then what is worse, then what is undecided,
//! then the rest.

mod figures;
mod sentence;
mod table;

pub use table::table;
