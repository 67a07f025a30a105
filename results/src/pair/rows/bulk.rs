//! Many blocks at once, freed in another order.

use std::ffi::c_void;
use std::hint::black_box;
use std::ptr::null_mut;

use drystone_workloads::calls::Calls;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;

use super::super::clock::{Spent, Whose, time};
use super::load::{Load, touched};
use super::pattern::PATTERN;

const BLOCKS: usize = 4096;

struct Bulk {
    calls: Calls,
    blocks: Vec<*mut c_void>,
    order: Vec<u32>,
}

/// 4,096 blocks of mixed sizes, then free of them in random order; an operation is one of each.
pub fn make(calls: Calls) -> Box<dyn Load> {
    let mut order: Vec<u32> = (0..BLOCKS as u32).collect();
    order.shuffle(&mut Pcg64::seed_from_u64(54_321));
    Box::new(Bulk { calls, blocks: vec![null_mut(); BLOCKS], order })
}

impl Load for Bulk {
    /// Whole rounds only.
    fn run(&mut self, n: u64) -> Spent {
        let calls = black_box(self.calls);
        let rounds = n.div_ceil(BLOCKS as u64).max(1);
        time(Whose::Thread, rounds * BLOCKS as u64, || {
            for _ in 0..rounds {
                for (place, step) in self.blocks.iter_mut().zip(PATTERN.iter()) {
                    // SAFETY: malloc may be called with any size.
                    *place = touched(unsafe { (calls.malloc)(step.size as usize) });
                }
                for &at in &self.order {
                    // SAFETY: each number stands in the order once, and its block was allocated
                    // above.
                    unsafe { (calls.free)(self.blocks[at as usize]) };
                }
            }
        })
    }
}
