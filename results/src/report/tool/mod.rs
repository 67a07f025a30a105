//! What is printed of the tool itself: how often it is right, and what it keeps.

mod calibration;
mod list;
mod selftest;

pub use calibration::calibration;
pub use list::{Kept, list};
pub use selftest::{Promise, Told, selftest};
