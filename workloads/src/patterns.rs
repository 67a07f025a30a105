//! The fixed patterns that the benchmarks measure: sizes, rings, bulk orders, growth.
//!
//! A pattern is data, made outside the measured time from a seed: replaying it costs one sequential
//! read per operation, and every allocator gets the same one. The numbers depend on `rand_pcg`'s
//! stream alone: bounded draws and shuffles are spelled out here, since `rand` may change how it
//! makes them from one version to the next.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// The smallest size that `small_size` draws, in bytes.
pub const SMALLEST: u32 = 8;

/// The largest size that `small_size` draws, in bytes.
pub const LARGEST_SMALL: u32 = 1023;

/// One turn of a ring: the block in `slot` is freed, and one of `size` bytes takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which slot, below the ring's number of slots.
    pub slot: u32,
    /// Bytes to ask for, at least 1.
    pub size: u32,
}

/// A random ring: a table of live blocks in which random ones are replaced.
///
/// It is what a program in its steady state does to an allocator: about as many blocks live all the
/// time, of mixed sizes, freed in an order that has nothing to do with the order of their birth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// The sizes that fill the slots at the start, in bytes, one per slot.
    pub fill: Vec<u32>,
    /// One pass. From the second pass on, every pass finds the same sizes in the same slots.
    pub turns: Vec<Turn>,
}

/// Makes a ring of `slots` slots whose pass has `turns` turns, with sizes from `small_size`.
///
/// # Panics
///
/// If `slots` is 0 or does not fit in 32 bits.
#[must_use]
pub fn ring(seed: u64, slots: usize, turns: usize) -> Ring {
    assert!(slots > 0, "a ring needs a slot");
    assert!(u32::try_from(slots).is_ok(), "slots are numbered in 32 bits");
    let mut rng = Pcg64::seed_from_u64(seed);
    let fill = (0..slots).map(|_| small_size(&mut rng)).collect();
    let turns = (0..turns)
        .map(|_| Turn { slot: below(&mut rng, slots as u64) as u32, size: small_size(&mut rng) })
        .collect();
    Ring { fill, turns }
}

/// In which order blocks are freed, compared with the order in which they were allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The youngest first, as a stack does.
    Lifo,
    /// The oldest first, as a queue does.
    Fifo,
    /// In an order that has nothing to do with age.
    Random,
}

impl Order {
    /// All orders, in the order in which they are reported.
    pub const ALL: [Order; 3] = [Order::Lifo, Order::Fifo, Order::Random];

    /// The order's name in benchmark ids.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Order::Lifo => "lifo",
            Order::Fifo => "fifo",
            Order::Random => "random",
        }
    }

    /// The numbers 0 to `count - 1`, each once, in this order; `seed` matters to [`Order::Random`].
    ///
    /// # Panics
    ///
    /// If `count` does not fit in 32 bits.
    #[must_use]
    pub fn indices(self, seed: u64, count: usize) -> Vec<u32> {
        let count = u32::try_from(count).expect("blocks are numbered in 32 bits");
        let mut indices: Vec<u32> = (0..count).collect();
        match self {
            Order::Lifo => indices.reverse(),
            Order::Fifo => {}
            Order::Random => shuffle(&mut Pcg64::seed_from_u64(seed), &mut indices),
        }
        indices
    }
}

/// `count` sizes from `small_size`, in bytes.
#[must_use]
pub fn small_sizes(seed: u64, count: usize) -> Vec<u32> {
    let mut rng = Pcg64::seed_from_u64(seed);
    (0..count).map(|_| small_size(&mut rng)).collect()
}

/// `count` sizes in bytes, uniform in `smallest ..= largest`.
///
/// # Panics
///
/// If `smallest` is above `largest`.
#[must_use]
pub fn uniform_sizes(seed: u64, count: usize, smallest: u32, largest: u32) -> Vec<u32> {
    assert!(smallest <= largest, "the smallest size is above the largest");
    let mut rng = Pcg64::seed_from_u64(seed);
    let choices = u64::from(largest - smallest) + 1;
    (0..count).map(|_| smallest + below(&mut rng, choices) as u32).collect()
}

/// `count` sizes in bytes that are log-uniform in `smallest ..= 2 * largest_power - 1`; both bounds
/// are powers of two.
///
/// # Panics
///
/// If a bound is not a power of two, or `smallest` is above `largest_power`.
#[must_use]
pub fn mixed_sizes(seed: u64, count: usize, smallest: u32, largest_power: u32) -> Vec<u32> {
    assert!(smallest.is_power_of_two() && largest_power.is_power_of_two(), "powers of two");
    assert!(smallest <= largest_power, "the smallest size is above the largest");
    let mut rng = Pcg64::seed_from_u64(seed);
    (0..count).map(|_| log_uniform(&mut rng, smallest.ilog2(), largest_power.ilog2())).collect()
}

/// The sizes of a buffer that is doubled from `from` to `to` bytes, both included, as `Vec` does.
///
/// # Panics
///
/// If `to` is not `from` times a power of two.
#[must_use]
pub fn doubling(from: usize, to: usize) -> Vec<usize> {
    assert!(from > 0 && to.is_multiple_of(from), "the end is not a multiple of the beginning");
    assert!((to / from).is_power_of_two(), "doubling never meets the end");
    core::iter::successors(Some(from), |size| (*size < to).then(|| size * 2)).collect()
}

/// A size in [`SMALLEST`]`..=`[`LARGEST_SMALL`] bytes, log-uniform: each doubling is as likely as
/// the next, which is nearer to what programs ask for than uniform sizes are.
fn small_size(rng: &mut Pcg64) -> u32 {
    log_uniform(rng, SMALLEST.ilog2(), LARGEST_SMALL.ilog2())
}

/// A power of two between `2^low` and `2^high`, each as likely, then a size between it and the
/// next, uniformly. In integers, so that it is the same number on every machine.
fn log_uniform(rng: &mut Pcg64, low: u32, high: u32) -> u32 {
    let base = 1_u32 << (u64::from(low) + below(rng, u64::from(high - low) + 1));
    base + below(rng, u64::from(base)) as u32
}

/// A number below `bound`, by the high half of a product. Its bias is `bound / 2^64`.
fn below(rng: &mut Pcg64, bound: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
}

/// Durstenfeld's version of the Fisher-Yates shuffle (CACM 7(7), algorithm 235).
fn shuffle(rng: &mut Pcg64, items: &mut [u32]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_order_is_a_permutation(seed: u64, count in 0_usize..2000) {
            for order in Order::ALL {
                let mut indices = order.indices(seed, count);
                indices.sort_unstable();
                prop_assert_eq!(indices, (0..count as u32).collect::<Vec<_>>());
            }
        }

        #[test]
        fn a_ring_stays_within_its_bounds(seed: u64, slots in 1_usize..500, turns in 0_usize..500) {
            let ring = ring(seed, slots, turns);
            prop_assert_eq!(ring.fill.len(), slots);
            prop_assert_eq!(ring.turns.len(), turns);
            let sizes = SMALLEST..=LARGEST_SMALL;
            prop_assert!(ring.fill.iter().all(|size| sizes.contains(size)));
            prop_assert!(ring.turns.iter().all(|turn| (turn.slot as usize) < slots));
            prop_assert!(ring.turns.iter().all(|turn| sizes.contains(&turn.size)));
        }

        #[test]
        fn doubling_doubles(from in 1_usize..100, times in 0_u32..20) {
            let sizes = doubling(from, from << times);
            prop_assert_eq!(sizes.len(), times as usize + 1);
            prop_assert_eq!((sizes[0], sizes[times as usize]), (from, from << times));
            prop_assert!(sizes.windows(2).all(|pair| pair[1] == 2 * pair[0]));
        }

        #[test]
        fn mixed_sizes_keep_their_bounds(seed: u64, low in 0_u32..10, span in 0_u32..10) {
            let (smallest, largest) = (1 << low, 1 << (low + span));
            let sizes = mixed_sizes(seed, 200, smallest, largest);
            prop_assert_eq!(sizes.len(), 200);
            prop_assert!(sizes.iter().all(|size| (smallest..2 * largest).contains(size)));
        }
    }

    #[test]
    fn the_orders_are_what_they_are_called() {
        assert_eq!(Order::Lifo.indices(1, 4), [3, 2, 1, 0]);
        assert_eq!(Order::Fifo.indices(1, 4), [0, 1, 2, 3]);
        let random = Order::Random.indices(1, 1000);
        assert_ne!(random, Order::Fifo.indices(1, 1000));
        assert_ne!(random, Order::Lifo.indices(1, 1000));
        // Of 1000 blocks in random order about 500 are freed before their elder neighbour.
        let descents = random.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!((400..600).contains(&descents), "{descents} descents in 999 steps");
    }

    #[test]
    fn a_shuffle_reaches_every_order_equally() {
        let mut counts = std::collections::BTreeMap::new();
        let mut rng = Pcg64::seed_from_u64(7);
        for _ in 0..6000 {
            let mut items = [0, 1, 2];
            shuffle(&mut rng, &mut items);
            *counts.entry(items).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (800..1200).contains(count)), "{counts:?}");
    }

    #[test]
    fn small_sizes_are_log_uniform() {
        let sizes = small_sizes(3, 70_000);
        for power in 3..10 {
            let within = sizes.iter().filter(|size| size.ilog2() == power).count();
            assert!((9_500..10_500).contains(&within), "{within} of 70,000 from 2^{power} bytes");
        }
    }

    #[test]
    fn uniform_sizes_reach_both_ends_equally() {
        let sizes = uniform_sizes(3, 113_000, 8, 120);
        for size in 8..=120 {
            let count = sizes.iter().filter(|drawn| **drawn == size).count();
            assert!((850..1150).contains(&count), "{count} of 113,000 are of {size} bytes");
        }
        assert!(sizes.iter().all(|size| (8..=120).contains(size)));
    }

    #[test]
    fn every_slot_gets_its_turn() {
        let ring = ring(5, 256, 4096);
        let mut seen = [false; 256];
        for turn in &ring.turns {
            seen[turn.slot as usize] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }

    /// Figures of different commits are comparable only while a seed means the same pattern.
    #[test]
    fn a_seed_means_the_same_pattern_for_ever() {
        assert_eq!(small_sizes(1, 6), [260, 15, 755, 22, 97, 14]);
        assert_eq!(Order::Random.indices(1, 8), [2, 5, 1, 3, 4, 7, 0, 6]);
        assert_eq!(ring(1, 16, 64), ring(1, 16, 64));
        assert_ne!(ring(1, 16, 64), ring(2, 16, 64));
    }
}
