//! One thread, as fast as it can, so that the longest of millions of calls is seen: no other worker
//! holds a lock that a call might wait for, so what a call takes, without the waiting for a
//! processor, is the allocator's own.

use drystone_checker::checks::{Check, Checks};
use drystone_checker::counters::Doing;
use drystone_harness::seed::Seed;
use drystone_workloads::mixed::generator;
use drystone_workloads::registry::{Settings, Workload};
use drystone_workloads::sizes::{LogUniform, below};

use crate::child::workers::CheckedWorkers;
use crate::child::workload::slots::Slots;

/// Operations of a round.
const OPERATIONS: u64 = 1 << 20;

/// What is checked: bytes are not touched.
pub const CHECKS: Checks = Checks::NONE.with(Check::Latency).with(Check::Counts);

/// One round, from rest to rest.
pub fn round(workers: &mut CheckedWorkers<'_>, seed: Seed, settings: &Settings) {
    let stop = workers.stop();
    let setting = |name| settings.size(Workload::Steady, name);
    let (slots, sizes) = (setting("slots"), LogUniform { octaves: setting("largest").ilog2() });
    workers.each(|checked| {
        if checked.worker() > 0 {
            return;
        }
        checked.judge_stalls();
        let mut rng = generator(seed.0, 0);
        let mut table = Slots::new(slots);
        for _ in 0..OPERATIONS / 2 {
            if stop.is_set() {
                break;
            }
            let slot = below(&mut rng, slots as u64) as usize;
            table.replace(slot, sizes.draw(&mut rng), checked);
        }
        table.free_all(checked);
        checked.row().doing(Doing::Idle);
    });
}
