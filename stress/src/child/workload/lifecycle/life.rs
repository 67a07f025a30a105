//! A life: one thread of a worker, from its start to its destructors.

use std::sync::{Mutex, PoisonError, RwLock};
use std::thread;

use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::Count;
use drystone_checker::violation;
use drystone_harness::seed::Seed;
use drystone_workloads::sizes::below;
use rand_pcg::Pcg64;

use crate::child::workers::no_thread;
use crate::child::workers::table::BlockTable;
use crate::child::workload::lifecycle::fork::Children;
use crate::child::workload::lifecycle::library::Library;
use crate::child::workload::lifecycle::signals::SignalSender;
use crate::child::workload::lifecycle::thread_end::{Ends, Lent};

/// A block in so many operations goes to another worker, by way of all.
const EXCHANGE_ONE_IN: u64 = 16;

/// Operations in one run of destructors at most.
const AT_AN_END: u64 = 16;

/// How often what happens: once in so many operations of a thread; 0 for never, but a life's
/// length.
#[derive(Clone, Copy)]
pub(super) struct Rates {
    /// Forks.
    pub fork: u64,
    /// Operations of a life at most, by half.
    pub life: u64,
    /// Libraries loaded.
    pub load: u64,
}

/// What the workers of a round share.
pub(super) struct Round<'r> {
    /// Of all choices.
    pub seed: u64,
    /// How often what happens.
    pub rates: Rates,
    /// What may be loaded.
    pub library: Option<&'r Library>,
    /// How it forks.
    pub children: Children,
    /// Who sends signals.
    pub signals: SignalSender,
    /// Shared while a library is loaded or closed, alone at a fork: what the C library makes of a
    /// fork while it loads is not the allocator's doing.
    pub loading: RwLock<()>,
    /// Blocks on their way between workers.
    pub pool: Mutex<Vec<Block>>,
}

/// One thread of a worker.
struct Life<'l, 'c> {
    round: &'l Round<'l>,
    checked: &'l mut Checked<'c>,
    rng: &'l mut Pcg64,
    table: &'l mut BlockTable,
    /// How often its key's destructor will run once more.
    ends: u64,
}

impl Round<'_> {
    /// A thread's life, which is over when this returns, its destructors too.
    pub(super) fn live_in_a_thread(
        &self,
        checked: &mut Checked<'_>,
        rng: &mut Pcg64,
        table: &mut BlockTable,
        length: u64,
    ) {
        let (worker, row) = (checked.worker(), checked.row());
        // The C library runs a key's destructors four times at most.
        let ends = below(rng, 4);
        let mut life = Life { round: self, checked, rng, table, ends };
        thread::scope(|scope| {
            let life = Lent::new(&mut life);
            let body = move || {
                // For reports: while its thread works, the worker waits.
                violation::this_is_worker(worker);
                let _interrupted = self.signals.interrupt_this_thread(worker);
                // SAFETY: the life is lent to this thread alone until it has ended, and
                // `act_at_the_end` uses it after the last use here.
                unsafe {
                    life.act_at_the_end();
                    life.get().checked.moved_to_this_thread();
                    life.get().live(length);
                }
            };
            let thread = thread::Builder::new().spawn_scoped(scope, body);
            let thread = thread.unwrap_or_else(|error| no_thread(worker, &error));
            // The thread's destructors too are over then.
            thread.join().expect("a panic ends the process");
        });
        row.add(Count::ThreadEnds, 1);
        // What was known of its thread is of no other.
        row.is_this_thread();
    }

    fn give(&self, block: Block) {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).push(block);
    }

    /// A block that some worker has given away, if there is one.
    pub(super) fn take(&self, rng: &mut Pcg64) -> Option<Block> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let count = pool.len();
        (count > 0).then(|| pool.swap_remove(below(rng, count as u64) as usize))
    }
}

impl Life<'_, '_> {
    fn live(&mut self, length: u64) {
        let Rates { fork, load, .. } = self.round.rates;
        for _ in 0..length {
            self.turn();
            if self.strikes(fork) {
                self.fork();
            }
            if let Some(library) = self.round.library
                && self.strikes(load)
            {
                library.come_and_go(&self.round.loading, self.checked);
            }
        }
    }

    fn strikes(&mut self, one_in: u64) -> bool {
        one_in > 0 && below(self.rng, one_in) == 0
    }

    fn turn(&mut self) {
        self.table.turn(self.rng, self.checked);
        if below(self.rng, EXCHANGE_ONE_IN) == 0 {
            self.exchange();
        }
    }

    /// Gives a block away, and takes one that another worker has given.
    fn exchange(&mut self) {
        if let Some(block) = self.table.take(self.rng) {
            self.round.give(block);
        }
        if let Some(block) = self.round.take(self.rng) {
            self.checked.verify(&block);
            self.checked.row().add(Count::HandOffs, 1);
            if let Some(block) = self.table.put(block) {
                self.checked.free(block);
            }
        }
    }

    fn fork(&mut self) {
        let seed = Seed(self.round.seed ^ below(self.rng, u64::MAX));
        let Self { round, checked, table, .. } = self;
        round.children.fork(checked, table, seed, &round.loading);
    }
}

impl Ends for Life<'_, '_> {
    /// In a destructor of a thread-local variable or of a key: once more, if it says so.
    fn at_an_end(&mut self) -> bool {
        let before = self.checked.row().get(Count::Operations);
        for _ in 0..1 + below(self.rng, AT_AN_END) {
            self.turn();
        }
        let row = self.checked.row();
        row.add(Count::EndOperations, row.get(Count::Operations) - before);
        let again = self.ends > 0;
        self.ends = self.ends.saturating_sub(1);
        again
    }
}
