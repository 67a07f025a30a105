//! Which allocation is guarded next: one in N, at random, so that no pattern of a program misses
//! all of them.
//!
//! The fast paths count nothing. A call that they had no block for stands for as many allocations
//! as blocks are carved at a time: a page of them. A program whose blocks go round and round on the
//! fast paths alone has fewer samples than one in N.

use crate::os::{Mmap, Os, PAGE};
use crate::sync::{AtomicU32, AtomicUsize, Ordering};

/// Counts down to the next. Relaxed throughout: two threads may both find their call due, and both
/// are.
pub struct Rate {
    one_in: AtomicU32,
    /// Allocations until the next.
    left: AtomicUsize,
    seed: AtomicUsize,
}

impl Rate {
    /// Never.
    pub const fn new() -> Rate {
        Rate { one_in: AtomicU32::new(0), left: AtomicUsize::new(0), seed: AtomicUsize::new(0) }
    }

    /// One in `one_in`, from the first on. Before there are threads.
    pub fn set(&self, one_in: u32) {
        self.seed.store(Mmap.entropy() as usize, Ordering::Relaxed);
        self.one_in.store(one_in, Ordering::Relaxed);
        self.sampled();
    }

    /// Whether the next allocation is to be guarded.
    pub fn is_due(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// Counts an allocation of `size` bytes, and those that come with it.
    pub fn passed(&self, size: usize) {
        let blocks = (PAGE / size.max(1)).clamp(1, PAGE / 16);
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(blocks), Ordering::Relaxed);
    }

    /// One was, or there was no slot for it: draws how many are not, 0 to 2N − 2, N − 1 on average.
    pub fn sampled(&self) {
        let most = 2 * self.one_in.load(Ordering::Relaxed) as usize - 1;
        self.left.store(self.random() % most, Ordering::Relaxed);
    }

    /// A random number.
    pub fn random(&self) -> usize {
        // Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
        let mut z = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed) as u64;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ z >> 31) as usize
    }
}

/// N of `1/N`; 0 for nothing, and for `0`. `None` for all else.
pub fn one_in(text: &[u8]) -> Option<u32> {
    match text {
        b"" | b"0" => Some(0),
        b"1" => Some(1),
        [b'1', b'/', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            core::str::from_utf8(digits).ok()?.parse().ok().filter(|&one_in| one_in > 0)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_one_in_so_many() {
        for (text, rate) in [("", 0), ("0", 0), ("1", 1), ("1/1", 1), ("1/5000", 5000)] {
            assert_eq!(one_in(text.as_bytes()), Some(rate), "{text}");
        }
        for text in ["2", "1/", "1/0", "1/-5", "1/+5", "2/5", "0.1", "5000", "1/99999999999"] {
            assert_eq!(one_in(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn as_many_are_due_as_the_rate_says() {
        let rate = Rate::new();
        rate.set(100);
        let mut due = 0;
        for _ in 0..100_000 {
            if rate.is_due() {
                rate.sampled();
                due += 1;
            } else {
                rate.passed(PAGE);
            }
        }
        assert!((900..1100).contains(&due), "{due} of 100,000 at one in 100");
    }

    #[test]
    fn a_call_stands_for_a_page_of_blocks() {
        let rate = Rate::new();
        rate.set(1);
        for (size, blocks) in [(0, 256), (16, 256), (100, 40), (PAGE, 1), (1 << 20, 1)] {
            rate.left.store(1000, Ordering::Relaxed);
            rate.passed(size);
            assert_eq!(1000 - rate.left.load(Ordering::Relaxed), blocks, "{size}");
        }
    }
}
