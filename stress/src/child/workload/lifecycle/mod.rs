//! What else happens in a process while it allocates: it forks and both go on, signals interrupt
//! it, its threads end in the middle and their destructors allocate, libraries come and go.
//!
//! ```text
//! worker  ── life ── life ── life ──        a life is a thread, its blocks go on to the next
//!             │  └ ends: destructors of thread-local variables, and of keys in up to four rounds
//!             ├ fork ── child: its blocks are read, it allocates, frees, checks, exits
//!             └ load, use, close a library
//! signals SIGUSR1 to each life, again and again
//! ```
//!
//! | in | is |
//! |---|---|
//! | `life` | one thread of a worker, and what the workers of a round share |
//! | `fork` | the fork, what the child does, how its end is judged |
//! | `thread_end` | what a thread still does when it ends |
//! | `signals` | the signals |
//! | `library` | what is loaded, used and closed |
//!
//! The harness's own locks are held at a fork, so that the child's copy of its tables is whole; the
//! allocator is in whatever state its other threads have brought it to. POSIX lets the child of a
//! process with threads call little before it executes another program; that `malloc` works there
//! is what allocators promise beyond it, since programs do call it.

mod fork;
mod library;
mod life;
mod signals;
mod thread_end;

use std::sync::{Mutex, RwLock};

use anyhow::{Result, bail};
use drystone_checker::counters::{Count, Doing};
use drystone_harness::seed::Seed;
use drystone_workloads::mixed::generator;
use drystone_workloads::registry::{Settings, Workload};
use drystone_workloads::sizes::below;

use crate::allocators::process::OpenAllocator;
use crate::child::workers::CheckedWorkers;
use crate::child::workers::barrier::SpinBarrier;
use crate::child::workers::table::BlockTable;
use crate::child::workload::lifecycle::fork::Children;
use crate::child::workload::lifecycle::life::{Rates, Round};
use crate::child::workload::lifecycle::signals::SignalSender;
use crate::model::spec::Spec;

pub use self::library::Library;

/// Operations of a worker in a round.
const OPERATIONS: u64 = 100_000;

/// Rejects a run that can't be made.
///
/// # Errors
/// The allocator can't do what is set.
pub fn can(spec: &Spec, allocator: &OpenAllocator) -> Result<()> {
    let forks = spec.settings.get(Workload::Lifecycle, "fork") > 0;
    if forks && allocator.own.is_some_and(|own| own.fork.is_none()) {
        let allocator = &spec.allocator;
        bail!(
            "{allocator} has no fork handlers, so that its forked children can't use it; set \
             lifecycle:fork=0"
        );
    }
    Ok(())
}

/// One round, from rest to rest.
pub fn round(
    workers: &mut CheckedWorkers<'_>,
    seed: Seed,
    settings: &Settings,
    library: Option<&Library>,
) {
    let (threads, stop, allocator, board) =
        (workers.count(), workers.stop(), workers.allocator(), workers.board());
    let setting = |name| settings.get(Workload::Lifecycle, name);
    let round = Round {
        seed: seed.0,
        rates: Rates { fork: setting("fork"), life: setting("life"), load: setting("load") },
        library,
        children: Children::new(allocator.own, setting("patience")),
        signals: SignalSender::new(threads),
        loading: RwLock::new(()),
        pool: Mutex::default(),
    };
    let largest = settings.size(Workload::Lifecycle, "largest");
    if allocator.own.is_some() && round.rates.load > 0 {
        board
            .note("rounds without libraries: the allocator does not serve the process's malloc", 1);
    }
    let barrier = SpinBarrier::new(threads);
    let signals = round.signals.around(setting("signals"), || {
        workers.each(|checked| {
            let mut rng = generator(seed.0, checked.worker() as u64);
            let mut table = BlockTable::new(largest);
            let mut left = OPERATIONS;
            while left > 0 && !stop.is_set() {
                let length = (1 + below(&mut rng, 2 * round.rates.life)).min(left);
                round.live_in_a_thread(checked, &mut rng, &mut table, length);
                left -= length;
            }
            table.free_all(checked);
            checked.row().doing(Doing::Waiting);
            // From here on nobody gives anything away.
            barrier.wait();
            while let Some(block) = round.take(&mut rng) {
                checked.free(block);
            }
            checked.row().doing(Doing::Idle);
        });
    });
    board.row(0).add(Count::Signals, signals);
}
