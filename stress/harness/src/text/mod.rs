//! What people write and read: patterns, sizes, units, and names that they mistype.

pub mod pattern;
pub mod shorten;
pub mod size;
pub mod suggest;
pub mod units;
