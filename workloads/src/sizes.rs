//! Distributions of request sizes, drawn through [`rand::Rng`] from any generator.
//!
//! Every draw is integer arithmetic over [`Rng::next_u64`], so a seed means the same sizes on every
//! platform and with every version of `rand`.

use rand::Rng;

/// A number below `bound`, by the multiply-and-shift of Lemire, "Fast random integer generation in
/// an interval" (2019), without its rejection step: the bias is below `bound`/2⁶⁴.
///
/// Returns 0 when `bound` is 0.
#[inline]
pub fn below<R: Rng + ?Sized>(rng: &mut R, bound: u64) -> u64 {
    scale(rng.next_u64(), bound)
}

/// Maps a random word onto `0..bound` ([`below`] with a given word).
#[inline]
pub(crate) fn scale(word: u64, bound: u64) -> u64 {
    ((u128::from(word) * u128::from(bound)) >> 64) as u64
}

/// Sizes whose logarithm is uniform: as many requests between 16 and 32 bytes as between 64 and 128
/// KiB, as in the size histograms of real programs (Wilson et al., "Dynamic Storage Allocation: A
/// Survey and Critical Review", 1995).
///
/// One draw in eight is put on an edge: a power of two, one less or one more, where allocators
/// change size classes, add headers, or go over to pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogUniform {
    /// Sizes run from 0 to `1 << octaves` bytes.
    pub octaves: u32,
}

impl LogUniform {
    /// 0 bytes to 1 MiB.
    pub const MEBIBYTE: Self = Self { octaves: 20 };
    /// 0 bytes to 1 KiB: where programs make most of their requests.
    pub const KIBIBYTE: Self = Self { octaves: 10 };

    /// The largest size that can be drawn, bytes.
    #[inline]
    pub const fn largest(self) -> usize {
        1 << self.octaves
    }

    /// Draws a size, bytes.
    #[inline]
    pub fn draw<R: Rng + ?Sized>(self, rng: &mut R) -> usize {
        let word = rng.next_u64();
        let octave = scale(word, u64::from(self.octaves)) as u32;
        let base = 1u64 << octave;
        if word & 7 == 0 {
            // Twice the base, so that the largest size is an edge too.
            let edge = base << (word >> 3 & 1);
            let size = edge + (word >> 4 & 1) - (word >> 5 & 1);
            return (size as usize).min(self.largest());
        }
        // Octave k holds the 2^k sizes from 2^k - 1 on: zero is alone in the first.
        (base - 1 + below(rng, base)) as usize
    }
}

/// What the mixed workload asks for: mostly [`LogUniform`], rarely something much larger, for which
/// allocators have another path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithRareLarge {
    /// The common sizes.
    pub common: LogUniform,
    /// One request in so many is large.
    pub one_in: u64,
    /// Large sizes are log-uniform from the largest common one to `1 << octaves` bytes.
    pub octaves: u32,
}

impl WithRareLarge {
    /// 0 bytes to 1 MiB, one request in 4,096 up to 32 MiB.
    pub const DEFAULT: Self = Self { common: LogUniform::MEBIBYTE, one_in: 4096, octaves: 25 };
    /// 0 bytes to 1 KiB, one request in 4,096 up to 1 MiB.
    pub const SMALL: Self = Self { common: LogUniform::KIBIBYTE, one_in: 4096, octaves: 20 };

    /// Draws a size, bytes.
    #[inline]
    pub fn draw<R: Rng + ?Sized>(self, rng: &mut R) -> usize {
        if below(rng, self.one_in) != 0 {
            return self.common.draw(rng);
        }
        let from = self.common.octaves;
        let octave = from + below(rng, u64::from(self.octaves - from)) as u32;
        (1usize << octave) + below(rng, 1 << octave) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    const DRAWS: usize = 200_000;

    #[test]
    fn every_octave_is_drawn_as_often_as_any_other() {
        let mut rng = Pcg64::seed_from_u64(1);
        let mut octaves = [0usize; 21];
        for _ in 0..DRAWS {
            let size = LogUniform::MEBIBYTE.draw(&mut rng);
            octaves[(size + 1).ilog2() as usize] += 1;
        }
        let fair = DRAWS / 20;
        for (octave, &count) in octaves.iter().enumerate().take(20) {
            assert!(
                (fair * 8 / 10..fair * 12 / 10).contains(&count),
                "octave {octave}: {count} draws of {DRAWS}, {fair} expected"
            );
        }
        // Only the edges 2^20 - 1 and 2^20 lie in the last one.
        assert!((1..fair / 5).contains(&octaves[20]), "{} draws at the top", octaves[20]);
    }

    #[test]
    fn edges_and_extremes_are_reached_and_never_passed() {
        let mut rng = Pcg64::seed_from_u64(2);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..DRAWS {
            seen.insert(LogUniform::KIBIBYTE.draw(&mut rng));
        }
        for size in [0, 1, 2, 15, 16, 17, 1023, 1024] {
            assert!(seen.contains(&size), "{size} was never drawn");
        }
        assert_eq!(seen.last(), Some(&1024));
    }

    #[test]
    fn large_sizes_are_as_rare_as_stated() {
        let mut rng = Pcg64::seed_from_u64(3);
        let sizes = WithRareLarge { one_in: 64, ..WithRareLarge::DEFAULT };
        let large = (0..DRAWS)
            .map(|_| sizes.draw(&mut rng))
            .filter(|&size| size > LogUniform::MEBIBYTE.largest())
            .inspect(|&size| assert!(size < 1 << 25))
            .count();
        let fair = DRAWS / 64;
        assert!((fair * 8 / 10..fair * 12 / 10).contains(&large), "{large} of {DRAWS}");
    }

    #[test]
    fn a_seed_gives_these_sizes_for_ever() {
        let mut rng = Pcg64::new(1, 2);
        let drawn: Vec<usize> = (0..8).map(|_| WithRareLarge::DEFAULT.draw(&mut rng)).collect();
        assert_eq!(drawn, [224, 149, 505_162, 2, 3972, 827_347, 3, 6]);
    }
}
