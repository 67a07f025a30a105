//! Streams of operations on numbered slots, each of which is empty or holds one block.
//!
//! A stream knows what it has put where, so whoever carries it out needs a table of blocks and
//! nothing else. It never ends; what is live when it is left is the carrier's to free. It is fixed
//! by the seed, the thread's number and the settings, and is integer arithmetic throughout.
//!
//! | stream | workload |
//! |---|---|
//! | [`Pareto`] | `pareto`: heavy-tailed sizes and lifetimes |
//! | [`Stacks`], [`Queues`] | `stacks`, `queues`: bulk in the order of age |
//! | [`ReallocStorm`] | `realloc-storm`: vectors and strings |
//! | [`Sawtooth`], [`ShiftingSizes`] | `sawtooth`, `shifting-sizes`: what breaks memory up |
//! | [`Large`] | `large`: pages to hundreds of MiB |
//! | [`Churn`] | `churn`: random replacement, as turns, because its slots outlive its threads |

mod blowup;
mod bulk;
mod growth;
mod op;
mod pareto;
mod table;

use rand_pcg::Pcg64;

pub use self::blowup::{Sawtooth, ShiftingSizes};
pub use self::bulk::{Queues, Stacks};
pub use self::growth::{Large, ReallocStorm};
pub use self::op::{Op, Stream};
pub use self::pareto::Pareto;
use crate::mixed::generator;
use crate::registry::{Settings, Workload};
use crate::sizes::below;

/// The stream of `workload` for thread number `thread` of `threads`; none if it is not made of one.
pub fn stream(
    workload: Workload,
    seed: u64,
    thread: usize,
    threads: usize,
    settings: &Settings,
) -> Option<Box<dyn Stream>> {
    let rng = generator(seed, thread as u64);
    Some(match workload {
        Workload::Pareto => Box::new(Pareto::new(rng, settings)),
        Workload::Stacks => Box::new(Stacks::new(rng, settings)),
        Workload::Queues => Box::new(Queues::new(rng, settings)),
        Workload::ReallocStorm => Box::new(ReallocStorm::new(rng, settings)),
        Workload::Sawtooth => Box::new(Sawtooth::new(rng, settings)),
        Workload::ShiftingSizes => Box::new(ShiftingSizes::new(rng, settings)),
        Workload::Large => Box::new(Large::new(rng, threads, settings)),
        _ => return None,
    })
}

/// One turn of a churn: the block in `slot`, if there is one, is freed, and one of `size` bytes
/// takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which slot.
    pub slot: usize,
    /// Bytes.
    pub size: usize,
}

/// The turns of one thread of a churn (Larson and Krishnan, "Memory Allocation for Long-Running
/// Server Applications", ISMM 1998): slots and sizes uniform.
#[derive(Clone, Debug)]
pub struct Churn {
    rng: Pcg64,
    slots: usize,
    smallest: usize,
    largest: usize,
}

impl Churn {
    /// The turns of thread number `thread`.
    pub fn new(seed: u64, thread: usize, settings: &Settings) -> Self {
        let setting = |name| settings.size(Workload::Churn, name);
        let (slots, smallest) = (setting("slots"), setting("smallest"));
        let largest = setting("largest").max(smallest);
        Self { rng: generator(seed, thread as u64), slots, smallest, largest }
    }

    /// How many slots a thread has.
    pub fn slots(&self) -> usize {
        self.slots
    }
}

impl Iterator for Churn {
    type Item = Turn;

    fn next(&mut self) -> Option<Turn> {
        let slot = below(&mut self.rng, self.slots as u64) as usize;
        let sizes = (self.largest - self.smallest + 1) as u64;
        Some(Turn { slot, size: self.smallest + below(&mut self.rng, sizes) as usize })
    }
}

#[cfg(test)]
mod tests;
