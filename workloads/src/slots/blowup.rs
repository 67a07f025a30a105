//! What memory blows up under: the bytes that live stay within a bound, and what they are made of
//! moves. (Robson 1977 bounds it from below for any allocator; Wilson et al. 1995 say what programs
//! do.)

use rand_pcg::Pcg64;

use super::growth::window;
use super::op::{Op, Stream};
use super::table::Table;
use crate::registry::{Settings, Workload};
use crate::sizes::below;

/// Blocks that a thread holds at most.
const SLOTS: usize = 1 << 17;
/// The smallest sizes begin here: 16 bytes.
const LEAST: u32 = 4;

/// The stream of the workload `sawtooth`: the live set climbs to its bound, is freed at random down
/// to a part, and climbs again with other sizes between what was left.
#[derive(Debug)]
pub struct Sawtooth {
    rng: Pcg64,
    table: Table,
    live: usize,
    octaves: u32,
    falling: bool,
    /// This tooth's sizes.
    from: u32,
}

impl Sawtooth {
    /// The stream that `rng` draws.
    pub fn new(rng: Pcg64, settings: &Settings) -> Self {
        let setting = |name| settings.get(Workload::Sawtooth, name);
        Self {
            rng,
            table: Table::new(SLOTS),
            live: setting("live") as usize,
            octaves: octaves(setting("largest")),
            falling: false,
            from: LEAST,
        }
    }
}

impl Stream for Sawtooth {
    fn slots(&self) -> usize {
        self.table.slots()
    }

    fn draw(&mut self) -> Op {
        if self.table.bytes() >= self.live || self.table.is_full() {
            self.falling = true;
        } else if self.falling && self.table.bytes() <= self.live / 16 {
            self.falling = false;
            self.from = LEAST + below(&mut self.rng, u64::from(self.octaves)) as u32;
        }
        match self.table.any(&mut self.rng) {
            Some(slot) if self.falling => {
                self.table.clear(slot);
                Op::Free { slot }
            }
            _ => {
                self.falling = false;
                let size = window(&mut self.rng, self.from);
                Op::Malloc { slot: self.table.fill(size), size }
            }
        }
    }
}

/// Octaves that a [`window`] of sizes may begin at, where the largest size is `largest` bytes.
fn octaves(largest: u64) -> u32 {
    largest.ilog2().saturating_sub(LEAST + 3).max(1)
}

/// The stream of the workload `shifting-sizes`: at a constant live set each block that goes is
/// replaced by one of the sizes that are asked for by now, which move up octave by octave and begin
/// anew.
#[derive(Debug)]
pub struct ShiftingSizes {
    rng: Pcg64,
    table: Table,
    live: usize,
    octaves: u32,
    /// Operations after which the sizes move on.
    period: u64,
    operations: u64,
}

impl ShiftingSizes {
    /// The stream that `rng` draws.
    pub fn new(rng: Pcg64, settings: &Settings) -> Self {
        let setting = |name| settings.get(Workload::ShiftingSizes, name);
        Self {
            rng,
            table: Table::new(SLOTS),
            live: setting("live") as usize,
            octaves: octaves(setting("largest")),
            period: setting("period"),
            operations: 0,
        }
    }
}

impl Stream for ShiftingSizes {
    fn slots(&self) -> usize {
        self.table.slots()
    }

    fn draw(&mut self) -> Op {
        self.operations += 1;
        if (self.table.bytes() >= self.live || self.table.is_full())
            && let Some(slot) = self.table.any(&mut self.rng)
        {
            self.table.clear(slot);
            return Op::Free { slot };
        }
        let shift = (self.operations / self.period % u64::from(self.octaves)) as u32;
        let size = window(&mut self.rng, LEAST + shift);
        Op::Malloc { slot: self.table.fill(size), size }
    }
}
