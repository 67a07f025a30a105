//! A recorded program, replayed under full checking.
//!
//! The trace's threads are folded onto the workers. A step that ends a block which another worker's
//! step brought to life waits for that step; every awaited step stands earlier in the trace's
//! order, so nobody waits for ever. A trace of few threads is replayed in several copies at once on
//! one heap, so that it is contended all the same.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam::utils::CachePadded;
use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::{Count, Doing};
use drystone_harness::stop::Stop;
use drystone_workloads::trace::{Kind, Step, Trace};

use crate::child::workers::barrier::SpinBarrier;

/// The work of all workers, the same in every pass.
#[derive(Debug)]
pub struct Parts {
    /// The steps of each worker within its copy.
    steps: Vec<Vec<Step>>,
    copies: usize,
    blocks: usize,
}

impl Parts {
    /// Lays a trace out for `workers` workers.
    pub fn new(trace: &Trace, workers: usize) -> Self {
        let per_copy = workers.min(trace.threads() as usize).max(1);
        Self {
            steps: trace.fold(per_copy),
            copies: workers / per_copy,
            blocks: trace.blocks() as usize,
        }
    }

    /// How many copies run at once.
    pub fn copies(&self) -> usize {
        self.copies
    }
}

/// One copy of the program.
#[derive(Debug)]
struct Copy {
    /// By the block's number in the trace. Never contended: the steps' order sees to that.
    blocks: Vec<Mutex<Option<Block>>>,
    /// How many steps each of its workers has done.
    done: Vec<CachePadded<AtomicUsize>>,
}

/// One pass over the trace, from rest to rest.
#[derive(Debug)]
pub struct Pass<'a> {
    parts: &'a Parts,
    copies: Vec<Copy>,
    barrier: SpinBarrier,
}

impl<'a> Pass<'a> {
    /// A pass for `workers` workers, those for whom `parts` were laid out.
    pub fn new(parts: &'a Parts, workers: usize) -> Self {
        let copy = |_| Copy {
            blocks: (0..parts.blocks).map(|_| Mutex::new(None)).collect(),
            done: parts.steps.iter().map(|_| CachePadded::default()).collect(),
        };
        Self {
            parts,
            copies: (0..parts.copies).map(copy).collect(),
            barrier: SpinBarrier::new(workers),
        }
    }

    /// One worker's part.
    pub fn work(&self, checked: &mut Checked<'_>, stop: &Stop) {
        let per_copy = self.parts.steps.len();
        let (copy, part) = (checked.worker() / per_copy, checked.worker() % per_copy);
        // What does not divide is left over, and only waits.
        if let Some(copy) = self.copies.get(copy) {
            copy.replay(&self.parts.steps[part], part, checked, stop);
        }
        checked.row().doing(Doing::Waiting);
        self.barrier.wait();
        if let Some(copy) = self.copies.get(copy) {
            copy.free_what_is_left(part, per_copy, checked);
        }
        checked.row().doing(Doing::Idle);
    }
}

impl Copy {
    fn replay(&self, steps: &[Step], part: usize, checked: &mut Checked<'_>, stop: &Stop) {
        for (done, step) in steps.iter().enumerate() {
            if let Some(awaited) = step.awaits {
                checked.row().doing(Doing::Waiting);
                if !self.wait(awaited.worker as usize, awaited.step as usize, stop) {
                    return;
                }
                checked.row().add(Count::HandOffs, 1);
            }
            if stop.is_set() {
                return;
            }
            self.carry_out(step.op.kind, checked);
            // Release: pairs with the acquire of a worker that waits for this step's block.
            self.done[part].store(done + 1, Ordering::Release);
        }
    }

    /// Waits until a worker has done a step; false if the run is stopped first.
    fn wait(&self, worker: usize, step: usize, stop: &Stop) -> bool {
        // Acquire: pairs with the release after each step.
        while self.done[worker].load(Ordering::Acquire) <= step {
            if stop.is_set() {
                return false;
            }
            thread::yield_now();
        }
        true
    }

    fn carry_out(&self, kind: Kind, checked: &mut Checked<'_>) {
        match kind {
            Kind::Malloc { block, size } => self.put(block, checked.malloc(size)),
            Kind::Calloc { block, size } => self.put(block, checked.calloc(1, size)),
            Kind::AlignedAlloc { block, size, align } => {
                self.put(block, checked.aligned_alloc(align, size));
            }
            Kind::Realloc { from, to, size } => {
                let Some(old) = self.take(from) else { return };
                // An allocator may free on a realloc to 0 where the recorded one returned a block.
                if let Some(new) = checked.realloc(old, size) {
                    self.put(to, new);
                }
            }
            Kind::Free { block } => {
                if let Some(block) = self.take(block) {
                    checked.free(block);
                }
            }
        }
    }

    fn put(&self, number: u32, block: Block) {
        let slot = &self.blocks[number as usize];
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(block);
    }

    fn take(&self, number: u32) -> Option<Block> {
        self.blocks[number as usize].lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Frees this worker's share of the blocks that the program never freed.
    fn free_what_is_left(&self, part: usize, of: usize, checked: &mut Checked<'_>) {
        for slot in self.blocks.iter().skip(part).step_by(of) {
            let left = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(block) = left {
                checked.free(block);
            }
        }
    }
}
