//! Small blocks that several threads write to at once: an allocator that puts two threads' blocks
//! on one cache line makes them slow, one that loses a store makes them wrong.
//!
//! *Active* (cache-thrash): each thread writes to blocks that it has made itself. *Passive*
//! (cache-scratch): one thread has made all of the first ones, side by side; each frees those that
//! it is given and goes on with what it gets in their place. The seed says which.

use std::sync::{Mutex, PoisonError};

use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::{Count, Doing};
use drystone_harness::seed::Seed;
use drystone_workloads::registry::{Settings, Workload};

use crate::child::workers::CheckedWorkers;
use crate::child::workers::barrier::SpinBarrier;

/// Passes of a round: in each every block is written to and replaced.
const PASSES: usize = 50;

/// One round, from rest to rest.
pub fn round(workers: &mut CheckedWorkers<'_>, seed: Seed, settings: &Settings) {
    let (threads, stop) = (workers.count(), workers.stop());
    let setting = |name| settings.size(Workload::FalseSharing, name);
    let (size, count, writes) = (setting("size"), setting("blocks"), setting("writes"));
    let passive = seed.0.count_ones().is_multiple_of(2);
    let barrier = SpinBarrier::new(threads);
    let given: Vec<Mutex<Vec<Block>>> = (0..threads).map(|_| Mutex::default()).collect();
    workers.each(|checked| {
        if passive && checked.worker() == 0 {
            deal(checked, &given, size, count);
        }
        barrier.wait();
        let own = &given[checked.worker()];
        let mut blocks = std::mem::take(&mut *own.lock().unwrap_or_else(PoisonError::into_inner));
        if passive {
            // The dealer's own were in its hands before.
            let handed_over = if checked.worker() == 0 { 0 } else { blocks.len() };
            checked.row().add(Count::HandOffs, handed_over as u64);
        } else {
            blocks = (0..count).map(|_| checked.malloc(size)).collect();
        }
        for _ in 0..PASSES {
            if stop.is_set() {
                break;
            }
            blocks = blocks
                .into_iter()
                .map(|block| {
                    (0..writes).for_each(|_| checked.rewrite(&block));
                    checked.free(block);
                    checked.malloc(size)
                })
                .collect();
        }
        blocks.into_iter().for_each(|block| checked.free(block));
        checked.row().doing(Doing::Idle);
    });
}

/// Makes everybody's blocks, in turns, so that neighbours are different threads'.
fn deal(checked: &mut Checked<'_>, given: &[Mutex<Vec<Block>>], size: usize, count: usize) {
    for _ in 0..count {
        for one in given {
            let block = checked.malloc(size);
            one.lock().unwrap_or_else(PoisonError::into_inner).push(block);
        }
    }
}
