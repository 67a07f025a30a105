//! Blocks that die in the order of their age, in bulk: the youngest first, the oldest first.

use rand_pcg::Pcg64;

use super::op::{Op, Stream};
use crate::registry::{Settings, Workload};
use crate::sizes::{LogUniform, below};

/// The stream of the workload `stacks`: a stack that grows and shrinks to random depths.
#[derive(Debug)]
pub struct Stacks {
    rng: Pcg64,
    sizes: LogUniform,
    most: usize,
    depth: usize,
    /// The depth that it is on its way to.
    aim: usize,
}

impl Stacks {
    /// The stream that `rng` draws.
    pub fn new(rng: Pcg64, settings: &Settings) -> Self {
        let most = settings.size(Workload::Stacks, "depth");
        Self { rng, sizes: sizes(Workload::Stacks, settings), most, depth: 0, aim: most }
    }
}

fn sizes(workload: Workload, settings: &Settings) -> LogUniform {
    LogUniform { octaves: settings.get(workload, "largest").ilog2() }
}

impl Stream for Stacks {
    fn slots(&self) -> usize {
        self.most
    }

    fn draw(&mut self) -> Op {
        while self.depth == self.aim {
            self.aim = below(&mut self.rng, self.most as u64 + 1) as usize;
        }
        if self.depth < self.aim {
            let slot = self.depth;
            self.depth += 1;
            return Op::Malloc { slot, size: self.sizes.draw(&mut self.rng) };
        }
        self.depth -= 1;
        Op::Free { slot: self.depth }
    }
}

/// How a batch of a queue ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The oldest first.
    InOrder,
    /// The youngest first: the batch is a stack after all.
    Reverse,
    /// The oldest is freed for each one that comes, for a while; then the rest in order.
    Steady,
}

/// The stream of the workload `queues`: batches, allocated in a row and freed in a row.
#[derive(Debug)]
pub struct Queues {
    rng: Pcg64,
    sizes: LogUniform,
    most: usize,
    end: End,
    batch: usize,
    /// Blocks ever put in and taken out of this batch; slots are these modulo `most`.
    put: usize,
    taken: usize,
    /// Blocks still to come while the queue is steady.
    passing: usize,
    freeing: bool,
}

impl Queues {
    /// The stream that `rng` draws.
    pub fn new(rng: Pcg64, settings: &Settings) -> Self {
        let most = settings.size(Workload::Queues, "length");
        let sizes = sizes(Workload::Queues, settings);
        Self {
            rng,
            sizes,
            most,
            end: End::InOrder,
            batch: most,
            put: 0,
            taken: 0,
            passing: 0,
            freeing: false,
        }
    }

    fn begin(&mut self) {
        (self.put, self.taken, self.freeing) = (0, 0, false);
        self.batch = 1 + below(&mut self.rng, self.most as u64) as usize;
        self.end = match below(&mut self.rng, 3) {
            0 => End::InOrder,
            1 => End::Reverse,
            _ => End::Steady,
        };
        self.passing = if self.end == End::Steady { 2 * self.batch } else { 0 };
    }

    fn put(&mut self) -> Op {
        let slot = self.put % self.most;
        self.put += 1;
        Op::Malloc { slot, size: self.sizes.draw(&mut self.rng) }
    }
}

impl Stream for Queues {
    fn slots(&self) -> usize {
        self.most
    }

    fn draw(&mut self) -> Op {
        if self.put == self.taken && (self.put > 0 || self.freeing) {
            self.begin();
        }
        let waiting = self.put - self.taken;
        if !self.freeing && waiting < self.batch {
            return self.put();
        }
        // The batch is full: one leaves; while the queue is steady, one comes for it.
        self.freeing = self.passing == 0;
        self.passing = self.passing.saturating_sub(1);
        if self.end == End::Reverse {
            self.put -= 1;
            return Op::Free { slot: self.put % self.most };
        }
        let slot = self.taken % self.most;
        self.taken += 1;
        Op::Free { slot }
    }
}
