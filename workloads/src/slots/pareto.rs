//! Heavy tails: most blocks are small and die young, some are huge or stay, and there is no typical
//! one.
//!
//! A Pareto variable with tail exponent 1 and least value `m` is `m / u`, `u` uniform in (0, 1];
//! the least of `k` such draws has exponent `k`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::Rng;
use rand_pcg::Pcg64;

use super::op::{Op, Stream};
use super::table::Table;
use crate::registry::{Settings, Workload};
use crate::sizes::below;

/// The stream of the workload `pareto`.
#[derive(Debug)]
pub struct Pareto {
    rng: Pcg64,
    table: Table,
    /// When each live block dies, in operations since the beginning; the first to die on top.
    deaths: BinaryHeap<Reverse<(u64, usize)>>,
    now: u64,
    tail: u64,
    smallest: u64,
    largest: u64,
    lifetime: u64,
    live: usize,
}

/// Blocks that a thread holds at most.
const SLOTS: usize = 1 << 16;

impl Pareto {
    /// The stream that `rng` draws.
    pub fn new(rng: Pcg64, settings: &Settings) -> Self {
        let setting = |name| settings.get(Workload::Pareto, name);
        Self {
            rng,
            table: Table::new(SLOTS),
            deaths: BinaryHeap::new(),
            now: 0,
            tail: setting("tail"),
            smallest: setting("smallest"),
            largest: setting("largest").max(setting("smallest")),
            lifetime: setting("lifetime"),
            live: settings.size(Workload::Pareto, "live"),
        }
    }

    /// A variable that is at least `least`, and cut at `most`.
    fn heavy(&mut self, least: u64, most: u64) -> u64 {
        let draw = |rng: &mut Pcg64| {
            let u = (rng.next_u64() >> 32) + 1;
            ((u128::from(least) << 32) / u128::from(u)).min(u128::from(most)) as u64
        };
        let rng = &mut self.rng;
        (0..self.tail).map(|_| draw(rng)).min().unwrap_or(least)
    }
}

impl Stream for Pareto {
    fn slots(&self) -> usize {
        self.table.slots()
    }

    fn draw(&mut self) -> Op {
        self.now += 1;
        if let Some(&Reverse((death, slot))) = self.deaths.peek()
            && (death <= self.now || self.table.is_full() || self.table.bytes() > self.live)
        {
            self.deaths.pop();
            self.table.clear(slot);
            return Op::Free { slot };
        }
        let size = self.heavy(self.smallest, self.largest) as usize;
        let lifetime = self.heavy(self.lifetime, u64::MAX / 2);
        let slot = self.table.fill(size);
        self.deaths.push(Reverse((self.now.saturating_add(lifetime), slot)));
        match below(&mut self.rng, 8) {
            0 => Op::Calloc { slot, count: 1, size },
            _ => Op::Malloc { slot, size },
        }
    }
}
