//! `shared/allocator/threads`: several threads on one set of blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use criterion::{Criterion, SamplingMode};
use drystone_workloads::patterns;

use crate::allocators::Allocator;
use crate::groups::case::{Case, measure};
use drystone_workloads::heap::{Heap, MARK};
use drystone_workloads::workers::TimedWorkers;

const SEED: u64 = 7;
const THREADS: usize = 2;
const SLOTS: usize = 1024;
/// Turns of each thread in a pass.
const TURNS: usize = 4096;

/// One iteration is one pass of 4,096 turns by each of two threads over the same 1,024 slots: a
/// thread puts a block of its own in a random slot and frees the one that it finds there, which the
/// other may have allocated: 8,192 operations per thread. Sizes are log-uniform, 8 B to 1 KiB.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("shared");
    group.sampling_mode(SamplingMode::Flat);
    for allocator in allocators {
        let case = Case { allocator, parameter: THREADS, operations: THREADS * 2 * TURNS };
        measure(
            &mut group,
            case,
            |heap| {
                let slots = Arc::new(Slots::filled(heap));
                let (thread, shared) = (allocator.thread, Arc::clone(&slots));
                let workers = TimedWorkers::start(THREADS, move |number| {
                    let turns = patterns::ring(SEED + number as u64, SLOTS, TURNS).turns;
                    let (slots, inside) = (Arc::clone(&shared), thread.enter());
                    move |passes| {
                        let _ = &inside;
                        (0..passes).for_each(|_| slots.pass(&turns));
                    }
                });
                // The threads end before the slots.
                (workers, slots)
            },
            |bencher, (workers, _)| bencher.iter_custom(|passes| workers.run(passes)),
        );
    }
    group.finish();
}

/// Blocks that any thread may take out, and must replace.
struct Slots {
    heap: Heap,
    blocks: Vec<AtomicPtr<u8>>,
}

impl Slots {
    fn filled(heap: Heap) -> Slots {
        let fill = patterns::ring(SEED, SLOTS, 1).fill;
        // SAFETY: a pattern's sizes are at least 1.
        let blocks = fill.iter().map(|size| unsafe { heap.malloc(*size as usize) });
        Slots { heap, blocks: blocks.map(AtomicPtr::new).collect() }
    }

    fn pass(&self, turns: &[patterns::Turn]) {
        for turn in turns {
            // SAFETY: sizes are at least 1.
            let new = unsafe { self.heap.malloc(turn.size as usize) };
            // Release: whoever takes the block out sees what was written to it. Acquire pairs with
            // that of the thread that put the old one in.
            let old = self.blocks[turn.slot as usize].swap(new, Ordering::AcqRel);
            // SAFETY: the exchange gave the old block, which is live, to this thread alone.
            unsafe {
                assert_eq!(old.read(), MARK, "the block was overwritten");
                self.heap.free(old);
            }
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        for block in &mut self.blocks {
            // SAFETY: every slot holds a live block, and is gone now.
            unsafe { self.heap.free(*block.get_mut()) };
        }
    }
}
