//! One observation of the time lane: a process that loads both libraries and takes turns with them.
//!
//! ```text
//! child ─► slices ─┬─► tail ──► rows ─┬─► clock
//!    │             └──────────────────┘
//!    └──► library            plan: what the parent hands over
//! ```
//!
//! This program is its own child (`results pair`, hidden). Its global allocator is the C library's, so
//! nothing here allocates from a library under test but the rows, through pointers.

mod child;
mod clock;
mod library;
mod plan;
mod rows;
mod slices;
mod spawn;
mod tail;

pub use child::{counts_tails, run};
pub use plan::{Plan, Report};
pub use rows::{plans, trace_rows};
pub use spawn::spawn;
