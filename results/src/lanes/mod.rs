//! The lanes, cheapest first. Each appends its lines to the evidence; none judges.

mod context;
mod correctness;
mod instructions;
mod memory;
pub mod scripts;
mod state;
mod time;

pub use context::{Context, Library, Until};
pub use correctness::{Word, correctness};
pub use instructions::{instructions, is_possible as can_count};
pub use memory::memory;
pub use time::{Outcome, time};
