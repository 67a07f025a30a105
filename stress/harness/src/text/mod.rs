//! What people write and read: durations, patterns, sizes, units, and names that they mistype.

pub mod duration;
pub mod pattern;
pub mod shorten;
pub mod size;
pub mod suggest;
pub mod units;
