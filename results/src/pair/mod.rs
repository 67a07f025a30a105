//! What a child process does: for the time lane it loads both libraries and takes turns with them;
//! for memory and instructions it loads one.
//!
//! ```text
//! child ─┬─► slices ─► tail ─┬─► rows ─► clock
//!        ├─► memory ─────────┤
//!        └─► instructions ─┬─┴─► library
//!                          └─► fixed_clock      plan: what the parent hands over
//! ```
//!
//! This program is its own child (`results child`, hidden). Its global allocator is the C
//! library's, so nothing here allocates from a library under test but the rows, through pointers.

mod child;
mod clock;
mod fixed_clock;
mod instructions;
mod library;
mod memory;
mod plan;
mod rows;
mod slices;
mod spawn;
mod tail;

pub use child::run;
pub use plan::{Lengths, MARK, MemoryReport, Plan, Report, Single, Task, counts_tails};
pub use rows::{TRACE, has_threads, plans, trace_rows};
pub use spawn::{spawn, spawn_under};
