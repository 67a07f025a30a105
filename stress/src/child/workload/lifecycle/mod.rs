//! What else happens in a process while it allocates: it forks and both go on, signals interrupt it, its threads end in
//! the middle and their destructors allocate, libraries come and go.
//!
//! ```text
//! worker  ── life ── life ── life ──        a life is a thread, its blocks go on to the next
//!             │  └ ends: destructors of thread-local variables, and of keys in up to four rounds
//!             ├ fork ── child: its blocks are read, it allocates, frees, checks, exits
//!             └ load, use, close a library
//! storm   SIGUSR1 to each life, again and again
//! ```
//!
//! | in | is |
//! |---|---|
//! | `fork` | the fork, what the child does, how its end is judged |
//! | `ends` | what a thread still does when it ends |
//! | `storm` | the signals |
//! | `library` | what is loaded |
//!
//! The harness's own locks are held at a fork, so that the child's copy of its tables is whole; the subject is in
//! whatever state its other threads have brought it to. POSIX lets the child of a process with threads call little
//! before it executes another program; that `malloc` works there is what allocators promise beyond it, since programs
//! do call it.

mod fork;
mod library;
mod signals;
mod thread_end;

use std::sync::{Mutex, PoisonError, RwLock};
use std::thread;

use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::{Count, Doing};
use drystone_checker::violation;
use drystone_harness::seed::Seed;
use drystone_workloads::mixed::generator;
use drystone_workloads::registry::{Settings, Workload};
use drystone_workloads::sizes::below;
use rand_pcg::Pcg64;

use self::fork::Children;
use self::signals::Storm;
use crate::allocators::process::Target;
use crate::child::workers::barrier::Gate;
use crate::child::workers::table::Everyday;
use crate::child::workers::{Crew, no_thread};
use crate::model::spec::Spec;

pub use self::library::Library;

/// Operations of a worker in a round.
const OPERATIONS: u64 = 100_000;

/// A block in so many operations goes to another worker, by way of all.
const EXCHANGE_ONE_IN: u64 = 16;

/// Operations in one run of destructors at most.
const AT_AN_END: u64 = 16;

/// Refuses a run that can't be made.
///
/// # Errors
/// A sentence that names what to change.
pub fn can(spec: &Spec, target: &Target) -> Result<(), String> {
    let forks = spec.settings.get(Workload::Lifecycle, "fork") > 0;
    if forks && target.own.is_some_and(|own| own.fork.is_none()) {
        let subject = &spec.subject;
        return Err(format!(
            "{subject} has no fork handlers, so that its forked children can't use it; set lifecycle:fork=0"
        ));
    }
    Ok(())
}

/// One round, from rest to rest.
pub fn round(crew: &mut Crew<'_>, seed: Seed, settings: &Settings, library: Option<&Library>) {
    let (threads, stop, target, board) = (crew.workers(), crew.stop(), crew.target(), crew.board());
    let setting = |name| settings.get(Workload::Lifecycle, name);
    let round = Round {
        seed: seed.0,
        rates: Rates { fork: setting("fork"), life: setting("life"), load: setting("load") },
        library,
        children: Children::new(target.own, setting("patience")),
        storm: Storm::new(threads),
        loading: RwLock::new(()),
        pool: Mutex::default(),
    };
    let largest = settings.size(Workload::Lifecycle, "largest");
    if target.own.is_some() && round.rates.load > 0 {
        board.note("rounds without libraries: the subject does not serve the process's malloc", 1);
    }
    let gate = Gate::new(threads);
    let signals = round.storm.around(setting("signals"), || {
        crew.each(|checked| {
            let mut rng = generator(seed.0, checked.worker() as u64);
            let mut table = Everyday::new(largest);
            let mut left = OPERATIONS;
            while left > 0 && !stop.is_set() {
                let length = (1 + below(&mut rng, 2 * round.rates.life)).min(left);
                round.live_in_a_thread(checked, &mut rng, &mut table, length);
                left -= length;
            }
            table.free_all(checked);
            checked.row().doing(Doing::Waiting);
            // From here on nobody gives anything away.
            gate.pass();
            while let Some(block) = round.adopt(&mut rng) {
                checked.free(block);
            }
            checked.row().doing(Doing::Idle);
        });
    });
    board.row(0).add(Count::Signals, signals);
}

/// How often what happens: once in so many operations of a thread; 0 for never, but a life's length.
#[derive(Clone, Copy)]
struct Rates {
    fork: u64,
    life: u64,
    load: u64,
}

/// What the workers of a round share.
struct Round<'r> {
    seed: u64,
    rates: Rates,
    library: Option<&'r Library>,
    children: Children,
    storm: Storm,
    /// Shared while a library is loaded or closed, alone at a fork: what the C library makes of a fork while it loads is
    /// not the subject's doing.
    loading: RwLock<()>,
    /// Blocks on their way between workers.
    pool: Mutex<Vec<Block>>,
}

/// One thread of a worker.
struct Life<'l, 'c> {
    round: &'l Round<'l>,
    checked: &'l mut Checked<'c>,
    rng: &'l mut Pcg64,
    table: &'l mut Everyday,
    /// How often its key's destructor will run once more.
    ends: u64,
}

impl Round<'_> {
    /// A thread's life, which is over when this returns, its destructors too.
    fn live_in_a_thread(
        &self,
        checked: &mut Checked<'_>,
        rng: &mut Pcg64,
        table: &mut Everyday,
        length: u64,
    ) {
        let (worker, row) = (checked.worker(), checked.row());
        // The C library runs a key's destructors four times at most.
        let ends = below(rng, 4);
        let mut life = Life { round: self, checked, rng, table, ends };
        thread::scope(|scope| {
            let life = thread_end::Lent::new(&mut life);
            let body = move || {
                // For reports: while its thread works, the worker waits.
                violation::this_is_worker(worker);
                let _hit = self.storm.hits_this_thread(worker);
                // SAFETY: the life is lent to this thread alone until it has ended, and `act_at_the_end` uses it
                // after the last use here.
                unsafe {
                    life.act_at_the_end();
                    life.get().live(length);
                }
            };
            let thread = thread::Builder::new().spawn_scoped(scope, body);
            let thread = thread.unwrap_or_else(|error| no_thread(worker, &error));
            // The thread's destructors too are over then.
            thread.join().expect("a panic ends the process");
        });
        row.add(Count::ThreadEnds, 1);
    }

    fn give(&self, block: Block) {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).push(block);
    }

    fn adopt(&self, rng: &mut Pcg64) -> Option<Block> {
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
        if let Some(block) = self.round.adopt(self.rng) {
            self.checked.verify(&block);
            self.checked.row().add(Count::HandOffs, 1);
            if let Some(block) = self.table.put(block) {
                self.checked.free(block);
            }
        }
    }

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

    fn fork(&mut self) {
        let seed = Seed(self.round.seed ^ below(self.rng, u64::MAX));
        let Self { round, checked, table, .. } = self;
        round.children.fork(checked, table, seed, &round.loading);
    }
}
