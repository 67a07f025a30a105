//! The lanes, cheapest first. Each appends its lines to the evidence; none judges.

mod context;
mod correctness;
mod instructions;
mod memory;
pub mod scripts;
mod state;
mod time;
mod valgrind;

pub use context::{Context, Library, Until};
pub use correctness::{Word, correctness};
pub use instructions::instructions;
pub use memory::memory;
pub use time::{Outcome, time};
pub use valgrind::can_count;
