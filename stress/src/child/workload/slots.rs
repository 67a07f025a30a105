//! Workloads whose threads each work on a table of blocks of their own, by a stream of operations.

use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::Doing;
use drystone_harness::seed::Seed;
use drystone_workloads::registry::{Settings, Workload};
use drystone_workloads::slots::{Op, stream};

use crate::child::workers::CheckedWorkers;

/// Operations of a worker in a round.
const OPERATIONS: u64 = 100_000;
/// As before where each takes milliseconds, for all its bytes are written and read.
const LARGE_OPERATIONS: u64 = 200;

/// One round of `workload`, from rest to rest; of a long-lived one there is only this.
pub fn round(
    workers: &mut CheckedWorkers<'_>,
    workload: Workload,
    seed: Seed,
    settings: &Settings,
) {
    let (threads, stop) = (workers.count(), workers.stop());
    let operations = match workload {
        Workload::Large => LARGE_OPERATIONS,
        _ if workload.one_round() => u64::MAX,
        _ => OPERATIONS,
    };
    workers.each(|checked| {
        let stream = stream(workload, seed.0, checked.worker(), threads, settings);
        let mut stream = stream.expect("the workload is made of a stream");
        let mut slots = Slots::new(stream.slots());
        for _ in 0..operations {
            if stop.is_set() {
                break;
            }
            slots.carry_out(stream.draw(), checked);
        }
        slots.free_all(checked);
        checked.row().doing(Doing::Idle);
    });
}

/// A table of blocks.
#[derive(Debug)]
pub struct Slots(Vec<Option<Block>>);

impl Slots {
    /// `count` empty slots.
    pub fn new(count: usize) -> Self {
        Self((0..count).map(|_| None).collect())
    }

    /// How many hold a block.
    pub fn filled(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// Carries one operation out.
    pub fn carry_out(&mut self, op: Op, checked: &mut Checked<'_>) {
        match op {
            Op::Malloc { slot, size } => self.0[slot] = Some(checked.malloc(size)),
            Op::Calloc { slot, count, size } => self.0[slot] = Some(checked.calloc(count, size)),
            Op::AlignedAlloc { slot, alignment, size } => {
                self.0[slot] = Some(checked.aligned_alloc(alignment, size));
            }
            Op::Realloc { slot, size } => {
                if let Some(block) = self.0[slot].take() {
                    self.0[slot] = checked.realloc(block, size);
                }
            }
            Op::Free { slot } => self.free(slot, checked),
            Op::Read { slot } => {
                if let Some(block) = &self.0[slot] {
                    checked.verify(block);
                }
            }
        }
    }

    /// Puts a new block of `size` bytes where another may be.
    pub fn replace(&mut self, slot: usize, size: usize, checked: &mut Checked<'_>) {
        self.free(slot, checked);
        self.0[slot] = Some(checked.malloc(size));
    }

    fn free(&mut self, slot: usize, checked: &mut Checked<'_>) {
        if let Some(block) = self.0[slot].take() {
            checked.free(block);
        }
    }

    /// Empties all.
    pub fn free_all(&mut self, checked: &mut Checked<'_>) {
        for slot in 0..self.0.len() {
            self.free(slot, checked);
        }
    }
}
