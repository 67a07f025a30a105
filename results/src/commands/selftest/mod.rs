//! `results selftest`: known changes, and how often each is found.
//!
//! `plants` says what is planted and what is promised of it; `aim` finds how strong a plant must be
//! to measure as much as its name says; `bench` makes copies and compares them, `live` does
//! so in rounds, `resampled` draws comparisons from recorded processes. The two are never added up.

mod aim;
mod bench;
mod live;
mod plants;
mod resampled;

pub use live::run;
