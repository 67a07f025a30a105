//! Deciding: from evidence to verdicts. Measures nothing and prints nothing.
//!
//! `sign` is the test, `verdict` the limits it is held to; `judged` applies both to all the
//! evidence there is; `course` tells how a row came to its verdict.
//! `resample` asks recorded processes how often the test errs and how much it sees;
//! `change_points` looks at history.

mod change_points;
mod course;
pub mod exact;
mod judged;
pub mod resample;
mod sign;
mod tables;
mod verdict;

pub use change_points::change_points;
pub use course::{Course, Point, STAKES};
pub use judged::{Counted, FailOn, Judged, MEMORY_PROCESSES, MemoryJudged, median, new_findings};
pub use sign::Sequence;
pub use tables::{RowJudge, Tables, TailJudge};
pub use verdict::Verdict;
