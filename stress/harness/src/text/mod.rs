//! What people write and read: durations, patterns, units, and names that they mistype.

pub mod duration;
pub mod pattern;
pub mod suggest;
pub mod units;
