//! A journal's calls, made once more in their order: one thread at a time, under a token.
//!
//! ```text
//! step   0    1    2    3    4        by the time at which each began
//! worker 0 ─► 0 ─► 1 ─► 0 ─► 1        each waits until the one before has done its step
//! ```
//!
//! The worker threads are as many generations as they were: where a worker's thread was a new one,
//! all are, and between two generations the heap is looked over where it was.
//!
//! With one worker this is the very sequence of calls that was recorded. With more it is one of the
//! orders in which they may have taken effect; what needs two calls at once can't come again this
//! way.
//!
//! A step that uses a block which no step has made is left out: a journal that was cut may name
//! such.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{hint, thread};

use drystone_checker::checked::{Block, Checked, ImpossibleRequest};
use drystone_checker::journal::Step;
use drystone_checker::journal::{Call, Name};
use drystone_harness::stop::Stop;

/// The blocks that a script has made and not freed. Never contended: only who has the turn looks.
#[derive(Debug, Default)]
pub(super) struct Blocks(Mutex<HashMap<Name, Block>>);

impl Blocks {
    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Block>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One generation of a script being played by all workers of a run.
pub(super) struct Stage<'a> {
    steps: &'a [Step],
    /// The step whose turn it is.
    turn: AtomicUsize,
    blocks: &'a Blocks,
}

/// What happens between generations, for which the child is needed.
pub(super) trait Judge {
    /// Nothing is live: the heap is looked over.
    fn rest(&self);
    /// The run is over.
    fn end(&self);
}

/// Turns of spinning before the core is given away.
const SPINS: usize = 64;

impl<'a> Stage<'a> {
    /// A stage for the steps of one generation.
    pub(super) fn new(steps: &'a [Step], blocks: &'a Blocks) -> Self {
        Self { steps, turn: AtomicUsize::new(0), blocks }
    }

    /// One worker's part.
    pub(super) fn work(&self, checked: &mut Checked<'_>, stop: &Stop) {
        for (index, step) in self.steps.iter().enumerate() {
            if step.worker != checked.worker() {
                continue;
            }
            if !self.wait_for(index, stop) {
                return;
            }
            self.carry_out(*step, checked);
            // Release: pairs with the acquire of whoever waits for the next turn.
            self.turn.store(index + 1, Ordering::Release);
        }
    }

    /// What is judged when all workers of the generation have exited. A script that was shortened
    /// may leave something live, which is then no leak.
    pub(super) fn judge(&self, judge: &impl Judge) {
        for step in self.steps {
            match step.call {
                Call::Rest if self.blocks.lock().is_empty() => judge.rest(),
                Call::End if self.blocks.lock().is_empty() => judge.end(),
                _ => {}
            }
        }
    }

    fn wait_for(&self, index: usize, stop: &Stop) -> bool {
        let mut turns = 0;
        // Acquire: pairs with the release after each step.
        while self.turn.load(Ordering::Acquire) != index {
            turns += 1;
            if turns % SPINS == 0 {
                if stop.is_set() {
                    return false;
                }
                thread::yield_now();
            } else {
                hint::spin_loop();
            }
        }
        !stop.is_set()
    }

    fn carry_out(&self, step: Step, checked: &mut Checked<'_>) {
        let mut blocks = self.blocks.lock();
        let mut keep = |block: Block| {
            if let Some(name) = step.block {
                blocks.insert(name, block);
            }
        };
        match step.call {
            Call::Malloc { size } => keep(checked.malloc(size)),
            Call::Calloc { count, size } => keep(checked.calloc(count, size)),
            Call::AlignedAlloc { alignment, size } => keep(checked.aligned_alloc(alignment, size)),
            Call::ReallocNull { size } => keep(checked.realloc_null(size)),
            Call::FreeNull => checked.free_null(),
            Call::Realloc { block, size } => {
                if let Some(old) = blocks.remove(&block)
                    && let Some(new) = checked.realloc(old, size)
                {
                    blocks.insert(block, new);
                }
            }
            Call::Free { block } => {
                if let Some(block) = blocks.remove(&block) {
                    checked.free(block);
                }
            }
            Call::Verify { block } => {
                if let Some(block) = blocks.get(&block) {
                    checked.verify(block);
                }
            }
            Call::ImpossibleResize { block, size } => {
                if let Some(block) = blocks.get(&block) {
                    checked.must_reject(ImpossibleRequest::Realloc { block, size });
                }
            }
            Call::ImpossibleMalloc { size } => {
                checked.must_reject(ImpossibleRequest::Malloc { size })
            }
            Call::ImpossibleCalloc { count, size } => {
                checked.must_reject(ImpossibleRequest::Calloc { count, size });
            }
            Call::ImpossibleAligned { alignment, size } => {
                checked.must_reject(ImpossibleRequest::AlignedAlloc { alignment, size });
            }
            // For when the workers have exited.
            Call::Rest | Call::End => {}
            // The generations show it.
            Call::Begin => {}
            // A journal with such is not whole, and not replayed.
            Call::GiveUp { .. } => {}
        }
    }
}
