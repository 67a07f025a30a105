//! A comparison from its sides to its evidence: what `compare`, `selftest` and `calibrate` have in
//! common.
//!
//! - `sides`: both sides, named and then built; and libraries besides, where they differ.
//! - `wishes`: what is asked for, and the settings that follow.
//! - `run`: the lanes, one after the other, into a file.

mod run;
mod sides;
mod wishes;

pub use run::run;
pub use sides::Unbuilt;
pub use wishes::Wishes;
