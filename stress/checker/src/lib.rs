#![doc = include_str!("../README.md")]
#![warn(unreachable_pub)]

pub mod allocator;
pub mod checked;
mod checker;
pub mod checks;
pub mod clock;
pub mod counters;
mod global;
pub mod identity;
pub mod journal;
pub mod overlap;
pub mod schedule;
pub mod violation;
pub mod witness;

pub use allocator::{Alignment, Allocator, Calls, Promises};
pub use checked::{Block, Checked};
pub use checker::{Checker, StillLive};
pub use global::Global;
pub use violation::{Kind, Violation};
