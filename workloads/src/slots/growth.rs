//! Blocks that grow and shrink: vectors and strings, and mappings.

use rand_pcg::Pcg64;

use super::op::{Op, Stream};
use super::table::Table;
use crate::registry::{Settings, Workload};
use crate::sizes::{LogUniform, below};

/// The stream of the workload `realloc-storm`: each slot is a vector or a string that grows as such
/// do, is cut, and ends.
#[derive(Debug)]
pub struct ReallocStorm {
    rng: Pcg64,
    table: Table,
    largest: usize,
    aligned_one_in: u64,
}

impl ReallocStorm {
    /// The stream that `rng` draws.
    pub fn new(rng: Pcg64, settings: &Settings) -> Self {
        let setting = |name| settings.size(Workload::ReallocStorm, name);
        Self {
            rng,
            table: Table::new(setting("vectors")),
            largest: setting("largest"),
            aligned_one_in: setting("aligned") as u64,
        }
    }

    /// A new vector: of a few elements, sometimes aligned, as SIMD code has it.
    fn begin(&mut self) -> Op {
        let size = 1 + below(&mut self.rng, 64) as usize;
        let slot = self.table.fill(size);
        match self.aligned_one_in > 0 && below(&mut self.rng, self.aligned_one_in) == 0 {
            true => Op::AlignedAlloc { slot, alignment: 32 << below(&mut self.rng, 8), size },
            false => Op::Malloc { slot, size },
        }
    }
}

impl Stream for ReallocStorm {
    fn slots(&self) -> usize {
        self.table.slots()
    }

    fn draw(&mut self) -> Op {
        let begins = !self.table.is_full() && below(&mut self.rng, 8) == 0;
        let Some(slot) = self.table.any(&mut self.rng).filter(|_| !begins) else {
            return self.begin();
        };
        let old = self.table.size(slot);
        let size = match below(&mut self.rng, 16) {
            0..4 => old * 2,
            4..6 => old + old / 2 + 1,
            // A string to which words are added.
            6..11 => old + 1 + below(&mut self.rng, 16) as usize,
            // Cut to what is in use, or to half.
            11..13 => old - below(&mut self.rng, old as u64 / 4 + 1) as usize,
            13 => old / 2,
            14 => return Op::Read { slot },
            _ => 0,
        };
        if size == 0 || size > self.largest {
            self.table.clear(slot);
            return Op::Free { slot };
        }
        self.table.resize(slot, size);
        Op::Realloc { slot, size }
    }
}

/// The stream of the workload `large`: blocks from a page on, that grow as mappings do.
#[derive(Debug)]
pub struct Large {
    rng: Pcg64,
    table: Table,
    smallest: usize,
    largest: usize,
    /// Bytes that this thread holds at most.
    live: usize,
}

const PAGE: usize = 4096;
const SLOTS: usize = 64;

impl Large {
    /// The stream that `rng` draws for one of `threads` threads.
    pub fn new(rng: Pcg64, threads: usize, settings: &Settings) -> Self {
        let setting = |name| settings.size(Workload::Large, name);
        let (smallest, live) = (setting("smallest"), setting("live") / threads.max(1));
        let largest = setting("largest").min(live).max(smallest);
        Self { rng, table: Table::new(SLOTS), smallest, largest, live }
    }

    fn size(&mut self) -> usize {
        let octaves = (self.largest / self.smallest).ilog2() + 1;
        let size = self.smallest << below(&mut self.rng, u64::from(octaves));
        // On a page's edge, a little above it, or anywhere.
        let odd = match below(&mut self.rng, 3) {
            0 => 0,
            1 => 1 + below(&mut self.rng, 64) as usize,
            _ => below(&mut self.rng, size as u64) as usize,
        };
        (size + odd).min(self.largest)
    }
}

impl Stream for Large {
    fn slots(&self) -> usize {
        self.table.slots()
    }

    fn draw(&mut self) -> Op {
        let picked = self.table.any(&mut self.rng);
        if let Some(slot) = picked
            && (self.table.is_full() || self.table.bytes() > self.live)
        {
            self.table.clear(slot);
            return Op::Free { slot };
        }
        match (below(&mut self.rng, 16), picked) {
            (0..5, _) | (_, None) => {
                let size = self.size();
                Op::Malloc { slot: self.table.fill(size), size }
            }
            (5, _) => {
                let size = self.size();
                Op::Calloc { slot: self.table.fill(size), count: 1, size }
            }
            (6, _) => {
                let (size, alignment) = (self.size(), PAGE << below(&mut self.rng, 10));
                Op::AlignedAlloc { slot: self.table.fill(size), alignment, size }
            }
            (7..12, Some(slot)) => {
                let old = self.table.size(slot);
                let size = match below(&mut self.rng, 4) {
                    0 => old * 2,
                    1 => old + PAGE,
                    2 => old / 2,
                    _ => self.size(),
                };
                let size = size.clamp(self.smallest, self.largest);
                self.table.resize(slot, size);
                Op::Realloc { slot, size }
            }
            (_, Some(slot)) => {
                self.table.clear(slot);
                Op::Free { slot }
            }
        }
    }
}

/// Sizes within three octaves, from `1 << from` bytes on.
pub(super) fn window(rng: &mut Pcg64, from: u32) -> usize {
    (1 << from) + LogUniform { octaves: from + 3 }.draw(rng).min(7 << from)
}
