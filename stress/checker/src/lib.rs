//! What must be true of an allocator, each check in a file of its own: no two blocks overlap, every byte
//! stays its owner's, alignment, zeroing, `realloc`'s prefix, `errno`, mutual exclusion.
//!
//! Nothing here knows a workload or the stress tool: [`checked::Checked`] wraps the functions of any
//! allocator, and [`violation::install`] says what becomes of a wrong answer.
#![warn(missing_docs)]

pub mod allocator;
pub mod checked;
pub mod checks;
pub mod clock;
pub mod counters;
pub mod identity;
pub mod journal;
pub mod overlap;
pub mod schedule;
pub mod violation;
pub mod witness;
