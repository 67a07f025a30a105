//! Threads that live for a few blocks. Each worker starts them one after the other, waits for each,
//! and lends it its view of the allocator; what they leave behind goes to whoever comes next, in
//! whatever worker.

use std::sync::{Mutex, PoisonError};
use std::thread;

use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::{Count, Doing};
use drystone_checker::violation;
use drystone_harness::seed::Seed;
use drystone_workloads::mixed::generator;
use drystone_workloads::registry::{Settings, Workload};
use drystone_workloads::sizes::{LogUniform, below};
use rand_pcg::Pcg64;

use crate::child::workers::barrier::SpinBarrier;
use crate::child::workers::{CheckedWorkers, no_thread};

/// What the short-lived threads share.
struct Life {
    sizes: LogUniform,
    blocks: usize,
    /// Percent of the blocks that are left behind.
    left: u64,
    /// Blocks whose threads have exited, or soon will.
    abandoned: Mutex<Vec<Block>>,
}

/// One round, from rest to rest.
pub fn round(workers: &mut CheckedWorkers<'_>, seed: Seed, settings: &Settings) {
    let setting = |name| settings.size(Workload::ThreadStorm, name);
    let life = Life {
        sizes: LogUniform { octaves: setting("largest").ilog2() },
        blocks: setting("blocks"),
        left: setting("left") as u64,
        abandoned: Mutex::default(),
    };
    live_and_exit(workers, seed, &life, setting("threads"));
}

/// One round of workload `exits`: more threads that do less.
pub fn exits(workers: &mut CheckedWorkers<'_>, seed: Seed, settings: &Settings) {
    let setting = |name| settings.size(Workload::Exits, name);
    let (sizes, blocks) = (LogUniform { octaves: 10 }, setting("blocks"));
    let life = Life { sizes, blocks, left: 25, abandoned: Mutex::default() };
    live_and_exit(workers, seed, &life, setting("threads"));
}

/// So many lives for each worker, one after the other.
fn live_and_exit(workers: &mut CheckedWorkers<'_>, seed: Seed, life: &Life, lives: usize) {
    let (threads, stop) = (workers.count(), workers.stop());
    let barrier = SpinBarrier::new(threads);
    workers.each(|checked| {
        let mut rng = generator(seed.0, checked.worker() as u64);
        for _ in 0..lives {
            if stop.is_set() {
                break;
            }
            in_a_thread(checked, |checked| life.live(checked, &mut rng));
        }
        checked.row().doing(Doing::Waiting);
        // From here on nobody leaves anything.
        barrier.wait();
        while let Some(block) = life.take(&mut rng) {
            checked.free(block);
        }
        checked.row().doing(Doing::Idle);
    });
}

/// Calls `work` in a thread of its own, which has exited when this returns.
pub fn in_a_thread(checked: &mut Checked<'_>, work: impl FnOnce(&mut Checked<'_>) + Send) {
    let worker = checked.worker();
    thread::scope(|scope| {
        let body = || {
            // For reports: while its thread works, the worker waits.
            violation::this_is_worker(worker);
            checked.moved_to_this_thread();
            work(checked);
        };
        let thread = thread::Builder::new().spawn_scoped(scope, body);
        let thread = thread.unwrap_or_else(|error| no_thread(worker, &error));
        // The thread's destructors too are over then.
        thread.join().expect("a panic ends the process");
    });
    checked.row().doing(Doing::Waiting);
    checked.moved_to_this_thread();
}

impl Life {
    /// One thread's life.
    fn live(&self, checked: &mut Checked<'_>, rng: &mut Pcg64) {
        let mut own = Vec::with_capacity(self.blocks);
        for _ in 0..self.blocks {
            own.push(checked.malloc(self.sizes.draw(rng)));
            if below(rng, 2) == 0
                && let Some(block) = self.take(rng)
            {
                checked.row().add(Count::HandOffs, 1);
                checked.free(block);
            }
        }
        let mut left = Vec::new();
        for block in own {
            match below(rng, 100) < self.left {
                true => left.push(block),
                false => checked.free(block),
            }
        }
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner).extend(left);
    }

    fn take(&self, rng: &mut Pcg64) -> Option<Block> {
        let mut abandoned = self.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
        let count = abandoned.len();
        (count > 0).then(|| abandoned.swap_remove(below(rng, count as u64) as usize))
    }
}
