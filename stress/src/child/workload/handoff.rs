//! Asymmetric threads: some only allocate, the others only free, over one bounded channel.
//!
//! A consumer reads what it is given, resizes a block now and then, and frees all of it. A worker
//! that is alone is both.

use std::sync::{Mutex, PoisonError};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::{Count, Doing};
use drystone_harness::seed::Seed;
use drystone_harness::stop::Stop;
use drystone_workloads::mixed::generator;
use drystone_workloads::registry::{Settings, Workload};
use drystone_workloads::sizes::{LogUniform, below};
use rand_pcg::Pcg64;

use crate::child::workers::CheckedWorkers;

/// Blocks that a producer makes in a round.
const BLOCKS: usize = 100_000;
/// Batches that may be under way.
const UNDER_WAY: usize = 16;

type Batch = Vec<Block>;

/// One round, from rest to rest.
pub fn round(workers: &mut CheckedWorkers<'_>, seed: Seed, settings: &Settings) {
    let (threads, stop) = (workers.count(), workers.stop());
    let setting = |name| settings.size(Workload::Handoff, name);
    let producers = match setting("producers") {
        0 => threads.div_ceil(2),
        producers => producers,
    };
    // At least one to consume, if there are two.
    let producers = producers.clamp(1, (threads - 1).max(1));
    let (sender, receiver) = bounded(UNDER_WAY);
    let sizes = LogUniform { octaves: setting("largest").ilog2() };
    let batch = match setting("batch") {
        0 => 1 << (seed.0 % 9),
        batch => batch,
    };
    let part = Part { sizes, batch, receiver, stop };
    // Each producer's own: the channel ends with the last of them.
    let senders: Vec<Mutex<Option<Sender<Batch>>>> =
        (0..producers).map(|_| Mutex::new(Some(sender.clone()))).collect();
    drop(sender);
    workers.each(|checked| {
        let mut rng = generator(seed.0, checked.worker() as u64);
        let sender = senders.get(checked.worker());
        let sender =
            sender.and_then(|one| one.lock().unwrap_or_else(PoisonError::into_inner).take());
        match sender {
            Some(sender) => part.produce(checked, &mut rng, sender, threads == 1),
            None => part.consume_all(checked, &mut rng),
        }
        checked.row().doing(Doing::Idle);
    });
}

struct Part<'a> {
    sizes: LogUniform,
    batch: usize,
    receiver: Receiver<Batch>,
    stop: &'a Stop,
}

impl Part<'_> {
    fn produce(
        &self,
        checked: &mut Checked<'_>,
        rng: &mut Pcg64,
        sender: Sender<Batch>,
        alone: bool,
    ) {
        for _ in 0..BLOCKS.div_ceil(self.batch) {
            if self.stop.is_set() {
                break;
            }
            let batch: Batch =
                (0..self.batch).map(|_| checked.malloc(self.sizes.draw(rng))).collect();
            checked.row().doing(Doing::Waiting);
            if !alone {
                sender.send(batch).expect("a consumer lives as long as a producer");
                continue;
            }
            match sender.try_send(batch) {
                Ok(()) => {}
                Err(TrySendError::Full(batch)) => {
                    while let Ok(batch) = self.receiver.try_recv() {
                        self.consume(checked, rng, batch);
                    }
                    self.consume(checked, rng, batch);
                }
                Err(TrySendError::Disconnected(_)) => unreachable!("the round holds an end"),
            }
        }
        drop(sender);
        if alone {
            self.consume_all(checked, rng);
        }
    }

    /// Until the last producer has ended.
    fn consume_all(&self, checked: &mut Checked<'_>, rng: &mut Pcg64) {
        checked.row().doing(Doing::Waiting);
        while let Ok(batch) = self.receiver.recv() {
            self.consume(checked, rng, batch);
            checked.row().doing(Doing::Waiting);
        }
    }

    fn consume(&self, checked: &mut Checked<'_>, rng: &mut Pcg64, batch: Batch) {
        for block in batch {
            checked.verify(&block);
            checked.row().add(Count::HandOffs, 1);
            let kept = match below(rng, 64) {
                // Never to 0, which may free.
                0 => checked.realloc(block, 1 + self.sizes.draw(rng)),
                _ => Some(block),
            };
            if let Some(block) = kept {
                checked.free(block);
            }
        }
    }
}
