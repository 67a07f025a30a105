//! Which block comes next, and how large it is: what all rows of many sizes share.

use std::sync::LazyLock;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Steps of the pattern, after which it begins again.
pub const STEPS: usize = 1 << 16;

/// One operation of the pattern.
#[derive(Clone, Copy)]
pub struct Step {
    /// Which block, modulo their number.
    pub slot: u32,
    /// The next one's size: 8 to 1,023 bytes, each power of two as likely as the others.
    pub size: u32,
}

/// The same pattern in every process: only what surrounds it is drawn anew.
pub static PATTERN: LazyLock<Vec<Step>> = LazyLock::new(|| {
    let mut random = Pcg64::seed_from_u64(12_345);
    let mut step = || {
        let power = 1u32 << random.random_range(3..10u32);
        Step { slot: random.random_range(0..1 << 16), size: power + random.random_range(0..power) }
    };
    (0..STEPS).map(|_| step()).collect()
});
