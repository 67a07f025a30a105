//! Deciding: what two records say of each other. Prints nothing.

mod comparable;
mod comparison;
mod order;
mod side;
mod verdict;

pub use comparable::check;
pub use comparison::{Comparison, LEVEL, Row};
pub use side::Side;
pub use verdict::{Threshold, Verdict};

#[cfg(test)]
pub use comparison::fixtures;
