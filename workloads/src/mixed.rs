//! A randomized mix of all operations: the stress tool's default workload.
//!
//! [`Mixed`] is an endless stream of [`Op`]s for one thread, fixed by a seed and the thread's
//! number. An operation names a block by a [`Pick`], a random word that whoever carries it out maps
//! onto the blocks it holds at that moment: so the stream needs to know neither what is live nor
//! what arrived from other threads.

use rand::Rng;
use rand_pcg::Pcg64;

use crate::sizes::{LogUniform, WithRareLarge, below, scale};
use crate::splitmix::splitmix;

/// Which of the live blocks an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick(u64);

impl Pick {
    /// Maps the pick onto `0..count`; 0 when there is nothing to pick.
    #[inline]
    pub fn of(self, count: usize) -> usize {
        scale(self.0, count as u64) as usize
    }
}

/// A request that every allocator must fail: its size is over `PTRDIFF_MAX`, or overflows
/// (C23 §7.24.3, glibc's `malloc(3)`, NOTES).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// `malloc(size)`, `size` over `PTRDIFF_MAX`.
    Malloc {
        /// Bytes.
        size: usize,
    },
    /// `calloc(count, size)` whose product overflows `size_t`, or is over `PTRDIFF_MAX`.
    Calloc {
        /// How many.
        count: usize,
        /// Bytes each.
        size: usize,
    },
    /// `realloc(block, size)`, after which the block must be what it was.
    Realloc {
        /// The block.
        pick: Pick,
        /// Bytes.
        size: usize,
    },
    /// `aligned_alloc(alignment, size)`, `size` over `PTRDIFF_MAX` and a multiple of `alignment`.
    AlignedAlloc {
        /// A power of two.
        alignment: usize,
        /// Bytes.
        size: usize,
    },
}

/// One operation of the mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `malloc(size)`
    Malloc {
        /// Bytes.
        size: usize,
    },
    /// `calloc(count, size)`
    Calloc {
        /// How many.
        count: usize,
        /// Bytes each.
        size: usize,
    },
    /// `aligned_alloc(alignment, size)`; `size` need not be a multiple of `alignment`.
    AlignedAlloc {
        /// A power of two.
        alignment: usize,
        /// Bytes.
        size: usize,
    },
    /// `realloc(null, size)`: a malloc.
    ReallocNull {
        /// Bytes.
        size: usize,
    },
    /// `realloc(block, size)`, up or down.
    Realloc {
        /// The block.
        pick: Pick,
        /// Bytes.
        size: usize,
    },
    /// `realloc(block, its size plus or minus a little)`: the step of a growing vector, or the trim
    /// after it.
    Resize {
        /// The block.
        pick: Pick,
        /// Sixteenths of its present size: 1 to 32.
        sixteenths: u32,
    },
    /// `free(block)`
    Free {
        /// The block.
        pick: Pick,
    },
    /// `free(null)`: nothing.
    FreeNull,
    /// Gives a block to another thread, which will read it and free it.
    HandOff {
        /// The block.
        pick: Pick,
        /// The other thread.
        to: Pick,
    },
    /// Reads a block, which stays.
    Read {
        /// The block.
        pick: Pick,
    },
    /// Frees blocks until this share of the live bytes is left: the low tide after which an
    /// allocator merges and gives back.
    Ebb {
        /// Percent of the live bytes, 0 to 75.
        keep: u32,
    },
    /// A request that must fail.
    Impossible(Impossible),
}

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The sizes of requests.
    pub sizes: WithRareLarge,
    /// The live bytes that one thread should hold at most.
    pub live_bytes: usize,
}

impl Shape {
    /// Sizes to 1 MiB, rarely larger, in 32 MiB.
    pub const WIDE: Self = Self { sizes: WithRareLarge::DEFAULT, live_bytes: 32 << 20 };
    /// Sizes to 1 KiB, rarely larger, in 2 MiB: many more operations per second.
    pub const SMALL: Self = Self { sizes: WithRareLarge::SMALL, live_bytes: 2 << 20 };

    /// The shape whose common sizes end at `largest` bytes, rounded down to a power of two, and the
    /// rare ones 32 times above.
    #[must_use]
    pub fn up_to(self, largest: u64) -> Self {
        let octaves = largest.max(2).ilog2();
        let sizes =
            WithRareLarge { common: LogUniform { octaves }, octaves: octaves + 5, ..self.sizes };
        Self { sizes, ..self }
    }
}

/// One thread's endless stream of operations.
#[derive(Clone, Debug)]
pub struct Mixed {
    rng: Pcg64,
    shape: Shape,
}

impl Mixed {
    /// The stream of thread number `thread` under `seed`.
    pub fn new(seed: u64, thread: usize, shape: Shape) -> Self {
        Self { rng: generator(seed, thread as u64), shape }
    }

    fn pick(&mut self) -> Pick {
        Pick(self.rng.next_u64())
    }

    fn size(&mut self) -> usize {
        self.shape.sizes.draw(&mut self.rng)
    }

    fn calloc(&mut self) -> Op {
        let bytes = self.size();
        // Often one object, often an array of small ones.
        let size = match below(&mut self.rng, 4) {
            0 => 1,
            1 => 8,
            2 => 24,
            _ => return Op::Calloc { count: 1, size: bytes },
        };
        Op::Calloc { count: bytes / size, size }
    }

    fn aligned(&mut self) -> Op {
        // 8 bytes to a page mostly, to 1 MiB now and then.
        let most = if below(&mut self.rng, 32) == 0 { 18 } else { 10 };
        let alignment = 8usize << below(&mut self.rng, most);
        Op::AlignedAlloc { alignment, size: self.size() }
    }

    fn impossible(&mut self) -> Op {
        let over = isize::MAX as usize + 1;
        let size = match below(&mut self.rng, 4) {
            0 => over,
            1 => usize::MAX,
            2 => usize::MAX - below(&mut self.rng, 1 << 16) as usize,
            _ => over + self.size(),
        };
        Op::Impossible(match below(&mut self.rng, 4) {
            0 => Impossible::Malloc { size },
            1 => {
                let each = 2 + self.size();
                // Just over what fits into a size_t or into PTRDIFF_MAX.
                let limit = if size % 2 == 0 { usize::MAX } else { isize::MAX as usize };
                Impossible::Calloc { count: limit / each + 1, size: each }
            }
            2 => Impossible::Realloc { pick: self.pick(), size },
            _ => {
                let alignment = 16usize << below(&mut self.rng, 9);
                let size = size & !(alignment - 1);
                Impossible::AlignedAlloc { alignment, size: size.max(over) }
            }
        })
    }

    /// The next operation.
    pub fn draw(&mut self) -> Op {
        // The weights are of 1,024. More is allocated than freed: the bound on the live bytes is
        // what a long run works against, and the ebbs are its change.
        match below(&mut self.rng, 1024) {
            0..290 => Op::Malloc { size: self.size() },
            290..300 => Op::ReallocNull { size: self.size() },
            300..390 => self.calloc(),
            390..450 => self.aligned(),
            450..520 => Op::Realloc { pick: self.pick(), size: self.size() },
            520..600 => {
                let sixteenths = 1 + below(&mut self.rng, 32) as u32;
                Op::Resize { pick: self.pick(), sixteenths }
            }
            600..886 => Op::Free { pick: self.pick() },
            886..890 => Op::FreeNull,
            890..980 => Op::HandOff { pick: self.pick(), to: self.pick() },
            980..1013 => Op::Read { pick: self.pick() },
            1013 if below(&mut self.rng, 8) == 0 => {
                Op::Ebb { keep: below(&mut self.rng, 76) as u32 }
            }
            1013..1014 => Op::Free { pick: self.pick() },
            _ => self.impossible(),
        }
    }
}

impl Iterator for Mixed {
    type Item = Op;

    #[inline]
    fn next(&mut self) -> Option<Op> {
        Some(self.draw())
    }
}

/// The generator of stream number `stream` under `seed`: PCG-XSL-RR 128/64 (O'Neill 2014), whose
/// output is fixed by its name.
///
/// State and stream are spread by SplitMix64 (Steele et al. 2014): PCG's sequences from
/// neighbouring states or streams are correlated.
pub fn generator(seed: u64, stream: u64) -> Pcg64 {
    let mut state = seed;
    let mut word = || u128::from(splitmix(&mut state));
    let start = word() << 64 | word();
    let mut state = seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03).wrapping_add(1);
    let mut word = || u128::from(splitmix(&mut state));
    Pcg64::new(start, word() << 64 | word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_thread_fix_the_stream() {
        let stream = |seed, thread| Mixed::new(seed, thread, Shape::WIDE).take(64);
        assert!(stream(7, 1).eq(stream(7, 1)));
        assert!(stream(7, 1).ne(stream(7, 2)));
        assert!(stream(7, 1).ne(stream(8, 1)));
    }

    #[test]
    fn every_kind_of_operation_comes_up() {
        let mut kinds = [0usize; 9];
        for op in Mixed::new(3, 0, Shape::SMALL).take(100_000) {
            kinds[match op {
                Op::Malloc { .. } | Op::ReallocNull { .. } => 0,
                Op::Calloc { .. } => 1,
                Op::AlignedAlloc { .. } => 2,
                Op::Realloc { .. } | Op::Resize { .. } => 3,
                Op::Free { .. } | Op::FreeNull => 4,
                Op::HandOff { .. } => 5,
                Op::Read { .. } => 6,
                Op::Ebb { .. } => 7,
                Op::Impossible(_) => 8,
            }] += 1;
        }
        assert!(kinds.iter().all(|&count| count > 0), "{kinds:?}");
        assert!(kinds[0] + kinds[1] + kinds[2] > kinds[4] + kinds[5], "nothing stays live");
    }

    #[test]
    fn alignments_are_powers_of_two_and_nothing_possible_is_over_the_limit() {
        let limit = isize::MAX as usize;
        for op in Mixed::new(4, 0, Shape::WIDE).take(200_000) {
            match op {
                Op::Malloc { size } | Op::Realloc { size, .. } => assert!(size < limit),
                Op::Calloc { count, size } => assert!(count * size < limit),
                Op::AlignedAlloc { alignment, size } => {
                    assert!(alignment.is_power_of_two() && alignment <= 1 << 20 && size < limit);
                }
                Op::Impossible(Impossible::Malloc { size } | Impossible::Realloc { size, .. }) => {
                    assert!(size > limit);
                }
                Op::Impossible(Impossible::Calloc { count, size }) => {
                    assert!(count.checked_mul(size).is_none_or(|bytes| bytes > limit));
                }
                Op::Impossible(Impossible::AlignedAlloc { alignment, size }) => {
                    assert!(size > limit && size % alignment == 0);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_pick_covers_all_there_is() {
        let mut hit = [false; 5];
        for op in Mixed::new(9, 0, Shape::WIDE).take(10_000) {
            if let Op::Free { pick } = op {
                hit[pick.of(5)] = true;
            }
        }
        assert_eq!(hit, [true; 5]);
        assert_eq!(Pick(u64::MAX).of(0), 0);
    }
}
