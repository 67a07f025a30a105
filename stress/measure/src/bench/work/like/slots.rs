//! `like/pareto`: sizes with a heavy tail, in slots of which a fifth get four fifths of the turns.

use std::ptr;

use drystone_workloads::heap::Heap;
use drystone_workloads::splitmix::splitmix;

use crate::bench::work::like::stamp::{Block, LEAST};
use crate::bench::work::passes::{Clock, Work, timed};

const SLOTS: u64 = 262_144;
const TURNS: usize = 262_144;
/// The least size; half of all blocks are less than twice as large.
const SMALLEST: u64 = 16;
/// Where the tail is cut.
const LARGEST: u64 = 16 << 10;

/// A pass is 262,144 turns: an empty slot gets a block, the block of a full one is freed. Which
/// slots are full after a pass depends on how many there were, and is the same for every allocator.
pub(super) fn pareto() -> Work {
    let mut seed = 3;
    let turns: Vec<(u32, u32)> = (0..TURNS).map(|_| (slot(&mut seed), size(&mut seed))).collect();
    let mut slots = vec![Block { at: ptr::null_mut(), size: LEAST }; SLOTS as usize];
    let start = move |heap: Heap| {
        timed(move || {
            for (number, size) in &turns {
                let slot = &mut slots[*number as usize];
                if slot.at.is_null() {
                    *slot = Block::malloc(heap, *size as usize, u64::from(*number));
                } else {
                    slot.free(heap, u64::from(*number));
                    slot.at = ptr::null_mut();
                }
            }
        })
    };
    Work { operations: TURNS as u64, clock: Clock::Processor, start: Box::new(start) }
}

/// Below `bound`, by the high half of a product.
fn below(seed: &mut u64, bound: u64) -> u64 {
    ((u128::from(splitmix(seed)) * u128::from(bound)) >> 64) as u64
}

fn slot(seed: &mut u64) -> u32 {
    const FIFTH: u64 = SLOTS / 5;
    let slot = match below(seed, 5) {
        0 => FIFTH + below(seed, SLOTS - FIFTH),
        _ => below(seed, FIFTH),
    };
    slot as u32
}

/// Pareto's distribution with exponent 1: the least value over a uniform one.
fn size(seed: &mut u64) -> u32 {
    let uniform = (splitmix(seed) >> 32) + 1;
    ((SMALLEST << 32) / uniform).min(LARGEST) as u32
}
