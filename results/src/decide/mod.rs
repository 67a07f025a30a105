//! Deciding: from evidence to verdicts. Measures nothing and prints nothing.
//!
//! `sign` is the test, `verdict` the limits it is held to; `judged` applies both to all the
//! evidence there is.

mod judged;
mod sign;
mod tables;
mod verdict;

pub use judged::{Counted, FailOn, Judged, MemoryJudged, median};
pub use tables::{RowJudge, Tables, TailJudge};
pub use verdict::Verdict;
