//! Filling up and emptying: every cycle asks for the same.

use std::sync::{Mutex, PoisonError};

use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::{Count, Doing};
use drystone_harness::seed::Seed;
use drystone_workloads::mixed::generator;
use drystone_workloads::registry::{Settings, Workload};
use drystone_workloads::sizes::{LogUniform, WithRareLarge, below};
use rand_pcg::Pcg64;

use crate::child::workers::CheckedWorkers;
use crate::child::workers::barrier::SpinBarrier;
use crate::child::workload::memory::figures;

/// What all threads together hold at most, bytes.
const MOST: usize = 256 << 20;

/// Blocks of a thread that have a mapping of their own in most allocators.
const HUGE: usize = 4;

/// One cycle, from rest to rest; the bytes that were live when it was full. `seed` is the same for
/// every cycle, so that what differs between two rests is not what was asked for.
pub fn round(workers: &mut CheckedWorkers<'_>, seed: Seed, settings: &Settings) -> u64 {
    let (threads, stop) = (workers.count(), workers.stop());
    let more = workers.allocator().more;
    let setting = |name| settings.size(Workload::Drain, name);
    let octaves = setting("largest").ilog2();
    let common = LogUniform { octaves };
    let sizes = WithRareLarge { common, octaves: octaves + 5, ..WithRareLarge::DEFAULT };
    let most = setting("live").min(MOST / threads);
    let barrier = SpinBarrier::new(threads);
    let given: Vec<Mutex<Vec<Block>>> = (0..threads).map(|_| Mutex::default()).collect();
    let full = Mutex::new(0u64);
    workers.each(|checked| {
        let mut rng = generator(seed.0, checked.worker() as u64);
        let (mut own, mut bytes) = (Vec::new(), 0);
        for _ in 0..HUGE.min(most / (4 << 20)) {
            let block = checked.malloc((1 << 20) + 1 + below(&mut rng, 2 << 20) as usize);
            bytes += block.size();
            own.push(block);
        }
        while bytes < most && !stop.is_set() {
            let size = sizes.draw(&mut rng);
            let block = make(checked, &mut rng, size);
            bytes += block.size();
            own.push(block);
        }
        *full.lock().unwrap_or_else(PoisonError::into_inner) += bytes as u64;
        // Of three blocks one goes to the next worker, and one to the worker after that.
        let mut kept = Vec::with_capacity(own.len() / 3 + 1);
        for (number, block) in own.into_iter().enumerate() {
            match number % 3 {
                0 => kept.push(block),
                away => {
                    let to = &given[(checked.worker() + away) % threads];
                    to.lock().unwrap_or_else(PoisonError::into_inner).push(block);
                }
            }
        }
        checked.row().doing(Doing::Waiting);
        barrier.wait();
        // Nobody allocates or frees between the two barriers.
        if checked.worker() == 0 {
            figures::judge_when_full(&more, *full.lock().unwrap_or_else(PoisonError::into_inner));
        }
        barrier.wait();
        let from = &given[checked.worker()];
        let others = std::mem::take(&mut *from.lock().unwrap_or_else(PoisonError::into_inner));
        checked.row().add(Count::HandOffs, others.len() as u64);
        // All at once: where frees contend, they do here.
        let (mut others, mut own) = (others.into_iter(), kept.into_iter());
        loop {
            let (one, other) = (others.next(), own.next());
            if one.is_none() && other.is_none() {
                break;
            }
            one.into_iter().chain(other).for_each(|block| checked.free(block));
        }
        checked.row().doing(Doing::Idle);
    });
    full.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn make(checked: &mut Checked<'_>, rng: &mut Pcg64, size: usize) -> Block {
    match below(rng, 8) {
        0 => checked.calloc(1, size),
        1 => checked.aligned_alloc(32 << below(rng, 8), size),
        2 => {
            let block = checked.malloc(size / 2);
            match checked.realloc(block, size.max(1)) {
                Some(block) => block,
                None => checked.malloc(size),
            }
        }
        _ => checked.malloc(size),
    }
}
