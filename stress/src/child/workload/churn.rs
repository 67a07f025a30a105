//! A server's steady state: slots that outlive the threads that work on them.
//!
//! ```text
//! generation 1   worker 0: slots a   worker 1: slots b   worker 2: slots c
//! generation 2   worker 0: slots b   worker 1: slots c   worker 2: slots a   new threads, all blocks live
//! ```
//!
//! So each generation frees what threads that have exited allocated, and what it allocates is freed
//! after it.

use std::sync::{Mutex, PoisonError};

use drystone_checker::counters::{Count, Doing};
use drystone_harness::seed::Seed;
use drystone_workloads::registry::{Settings, Workload};
use drystone_workloads::slots::{Churn, Turn};

use crate::child::workers::CheckedWorkers;
use crate::child::workload::slots::Slots;

/// Generations of a round.
const GENERATIONS: usize = 8;

/// One round, from rest to rest.
pub fn round(workers: &mut CheckedWorkers<'_>, seed: Seed, settings: &Settings) {
    let (threads, stop) = (workers.count(), workers.stop());
    let turns = settings.size(Workload::Churn, "turns");
    let count = settings.size(Workload::Churn, "slots");
    let slots: Vec<Mutex<Slots>> = (0..threads).map(|_| Mutex::new(Slots::new(count))).collect();
    let mut seed = seed;
    for generation in 0..GENERATIONS {
        let last = generation + 1 == GENERATIONS || stop.is_set();
        workers.each(|checked| {
            let worker = checked.worker();
            // Never contended: in a generation each table is one worker's.
            let own = &slots[(worker + generation) % threads];
            let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever made them has exited: each generation is threads of its own.
            checked.row().add(Count::HandOffs, own.filled() as u64);
            for Turn { slot, size } in Churn::new(seed.0, worker, settings).take(turns) {
                if stop.is_set() {
                    break;
                }
                own.replace(slot, size, checked);
            }
            if last {
                own.free_all(checked);
            }
            checked.row().doing(Doing::Idle);
        });
        if last {
            return;
        }
        seed = seed.next();
    }
}
