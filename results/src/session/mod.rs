//! A comparison from its sides to its evidence: what `compare`, `selftest` and `calibrate` have in
//! common.
//!
//! - `sides`: both sides, built.
//! - `wishes`: what is asked for, and the settings that follow.
//! - `run`: the lanes, one after the other, into a file.

mod run;
mod sides;
mod wishes;

pub use run::run;
pub use sides::Sides;
pub use wishes::Wishes;
