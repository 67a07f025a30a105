//! The arithmetic: medians, the rank-sum distribution, and the shift between two samples with its
//! interval. Knows nothing of benchmarks, files or printing.

mod median;
mod rank_sum;
mod shift;

pub use median::median;
pub use shift::{Interval, fewest_per_side, shift};
