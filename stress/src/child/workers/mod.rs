//! All workers of a run, and how they are set to work: as threads that live for one call.

pub mod barrier;
pub mod table;

use std::{io, thread};

use drystone_checker::checked::Checked;
use drystone_checker::checks::Checks;
use drystone_checker::counters::Board;
use drystone_checker::overlap::Overlap;
use drystone_checker::schedule::{self, Rates};
use drystone_checker::violation::{self, Kind};
use drystone_harness::exit;
use drystone_harness::stop::Stop;

use crate::allocators::process::{OpenAllocator, Own};
use crate::child::workers::barrier::SpinBarrier;
use crate::model::message::{self, Message};
use crate::model::spec::Spec;

/// The workers of a run.
#[derive(Debug)]
pub struct CheckedWorkers<'a> {
    allocator: &'a OpenAllocator,
    board: &'a Board,
    stop: &'a Stop,
    overlap: &'a Overlap,
    /// How often the workers are disturbed, and the seed of where.
    disturbed: Rates,
    seed: u64,
    /// What is done around each call.
    checks: Checks,
    /// How many blocks each worker has made so far.
    sequences: Vec<u64>,
}

impl<'a> CheckedWorkers<'a> {
    /// The workers that `spec` asks for, on `allocator`.
    pub fn new(
        allocator: &'a OpenAllocator,
        board: &'a Board,
        stop: &'a Stop,
        overlap: &'a Overlap,
        spec: &Spec,
    ) -> Self {
        let (disturbed, seed) = (spec.disturb, spec.seed.0);
        let (checks, sequences) = (Checks::ALL, vec![0; spec.threads]);
        Self { allocator, board, stop, overlap, disturbed, seed, checks, sequences }
    }

    /// With these checks alone.
    #[must_use]
    pub fn checking(self, checks: Checks) -> Self {
        Self { checks, ..self }
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.sequences.len()
    }

    /// Whom they call.
    pub fn allocator(&self) -> &'a OpenAllocator {
        self.allocator
    }

    /// Where they count.
    pub fn board(&self) -> &'a Board {
        self.board
    }

    /// What they look at before each operation.
    pub fn stop(&self) -> &'a Stop {
        self.stop
    }

    /// Calls `work` once on each worker, at once, each a new thread that has exited when this
    /// returns: so every call is a generation, which leaves to the next what an allocator keeps for
    /// a thread.
    pub fn each(&mut self, work: impl Fn(&mut Checked<'_>) + Sync) {
        let Self { allocator, board, overlap, sequences, disturbed, seed, checks, .. } = self;
        let barrier = SpinBarrier::new(sequences.len());
        let work_and_judge = |worker: usize, sequence: u64| {
            schedule::begin(*disturbed, *seed, sequence << 16 | worker as u64);
            // SAFETY: the number is this thread's alone until it is joined below.
            let checked = unsafe { Checked::new(allocator.for_checker(), overlap, board, worker) };
            let mut checked = checked.counting_from(sequence).checking(*checks);
            work(&mut checked);
            barrier.wait();
            judge_worker(allocator.own, &barrier);
            checked.sequence()
        };
        thread::scope(|scope| {
            let start = |(worker, &sequence): (usize, &u64)| {
                let work_and_judge = &work_and_judge;
                thread::Builder::new()
                    .name(format!("worker {worker}"))
                    .spawn_scoped(scope, move || work_and_judge(worker, sequence))
                    .unwrap_or_else(|error| no_thread(worker, &error))
            };
            let workers: Vec<_> = sequences.iter().enumerate().map(start).collect();
            // A join waits for the thread's destructors too; the scope's end alone would not.
            for (worker, sequence) in workers.into_iter().zip(sequences.iter_mut()) {
                *sequence = worker.join().expect("a panic ends the process");
            }
        });
    }
}

/// In each worker, when all have come to rest: what is its alone must be sound.
fn judge_worker(own: Option<Own>, barrier: &SpinBarrier) {
    let Some(own) = own else { return };
    // Blocks that others freed are the owner's to take back.
    (own.sweep)();
    barrier.wait();
    if let Err(broken) = (own.check)() {
        violation::raise(Kind::BrokenHeap, "every invariant to hold at rest", broken);
    }
}

/// The machine, not the allocator, has no thread to give.
pub fn no_thread(worker: usize, error: &io::Error) -> ! {
    let why = format!("worker thread {worker} can't be started: {error}; use fewer --threads");
    message::send(&Message::Rejected { why });
    exit::now(exit::FAILED)
}
