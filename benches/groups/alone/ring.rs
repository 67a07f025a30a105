//! `ring/allocator/slots`: a program in its steady state.

use std::thread;

use criterion::{Criterion, SamplingMode};
use drystone_workloads::patterns;

use crate::allocators::Allocator;
use crate::groups::case::{Case, measure};
use drystone_workloads::heap::Heap;

const SEED: u64 = 1;

/// Live blocks: within the first caches, and beyond the second-level cache.
const SLOTS: [usize; 2] = [256, 65_536];

/// Turns in a pass: so many that slots and sizes are not learnt by the branch predictor, and twice
/// as many as slots, so that nearly all of them are in use.
fn turns(slots: usize) -> usize {
    (2 * slots).max(16_384)
}

/// One iteration is a pass over a table of live blocks, of 16,384 turns over 256 slots and 131,072
/// over 65,536. A turn frees the block in a random slot and allocates one of another random size
/// (log-uniform, 8 B to 1 KiB) in its place: 2 operations. The blocks stay from one iteration to
/// the next.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("ring");
    group.sampling_mode(SamplingMode::Flat);
    for slots in SLOTS {
        for allocator in allocators {
            let case = Case { allocator, parameter: slots, operations: 2 * turns(slots) };
            measure(
                &mut group,
                case,
                |heap| Ring::filled(heap, patterns::ring(SEED, slots, turns(slots))),
                |bencher, ring| bencher.iter(|| ring.pass()),
            );
        }
    }
    group.finish();
}

/// A ring with its blocks; freed when dropped.
pub struct Ring {
    heap: Heap,
    pattern: patterns::Ring,
    /// One live block per slot.
    blocks: Vec<*mut u8>,
}

impl Ring {
    /// Allocates the blocks that the pattern begins with.
    pub fn filled(heap: Heap, pattern: patterns::Ring) -> Ring {
        // SAFETY: a pattern's sizes are at least 1.
        let blocks = pattern.fill.iter().map(|size| unsafe { heap.malloc(*size as usize) });
        Ring { heap, blocks: blocks.collect(), pattern }
    }

    /// Makes every turn of the pattern once.
    pub fn pass(&mut self) {
        let heap = self.heap;
        for turn in &self.pattern.turns {
            let slot = &mut self.blocks[turn.slot as usize];
            // SAFETY: the slot holds a live block, and a new one from here on; sizes are at least
            // 1.
            unsafe {
                heap.free(*slot);
                *slot = heap.malloc(turn.size as usize);
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if thread::panicking() {
            // A turn that got no new block has freed the old one.
            return;
        }
        for (slot, block) in self.blocks.iter().enumerate() {
            // SAFETY: every slot holds a live block, of at least eight bytes.
            unsafe { block.cast::<u64>().write_unaligned(slot as u64) };
        }
        for (slot, block) in self.blocks.drain(..).enumerate() {
            // SAFETY: the slot held a live block of at least eight bytes, and is gone now.
            unsafe {
                let held = block.cast::<u64>().read_unaligned();
                assert_eq!(held, slot as u64, "two slots had one block");
                self.heap.free(block);
            }
        }
    }
}
