//! Fork and join on a pool whose threads steal from each other: what one half of a task makes,
//! whoever joins it frees, in whatever thread that comes to be. The pool is rayon's; its threads
//! are the run's workers.

use std::cell::Cell;
use std::ptr::{NonNull, null_mut};
use std::thread;

use crossbeam::channel::unbounded;
use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::{Count, Doing};
use drystone_harness::seed::Seed;
use drystone_harness::stop::Stop;
use drystone_workloads::mixed::generator;
use drystone_workloads::registry::{Settings, Workload};
use drystone_workloads::sizes::{LogUniform, below};
use rayon::{ThreadBuilder, ThreadPoolBuilder};

use crate::child::workers::{CheckedWorkers, no_thread};

thread_local! {
    /// What the calling thread of the pool checks with; null elsewhere.
    static CURRENT: Cell<*mut ()> = const { Cell::new(null_mut()) };
}

/// A tree of tasks.
struct Tree<'a> {
    sizes: LogUniform,
    /// Blocks that each task makes before it forks.
    blocks: usize,
    seed: u64,
    stop: &'a Stop,
}

/// One round, from rest to rest.
pub fn round(workers: &mut CheckedWorkers<'_>, seed: Seed, settings: &Settings) {
    let (threads, stop) = (workers.count(), workers.stop());
    let setting = |name| settings.size(Workload::ForkJoin, name);
    let sizes = LogUniform { octaves: setting("largest").ilog2() };
    let tree = Tree { sizes, blocks: setting("blocks"), seed: seed.0, stop };
    let depth = setting("depth");
    let (sender, receiver) = unbounded::<ThreadBuilder>();
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .spawn_handler(|thread| {
            sender.send(thread).expect("this function holds the other end");
            Ok(())
        })
        .build()
        .expect("the handler only hands the threads on");
    thread::scope(|scope| {
        let drive = || {
            pool.install(|| {
                let left = tree.branch(depth, 1);
                with_checked(|checked| left.into_iter().for_each(|block| checked.free(block)));
            });
            // The workers' turn in the pool ends.
            drop(pool);
        };
        let driver = thread::Builder::new().spawn_scoped(scope, drive);
        driver.unwrap_or_else(|error| no_thread(threads, &error));
        workers.each(|checked| {
            let pooled = receiver.recv().expect("the pool has a thread for each worker");
            checked.row().doing(Doing::Waiting);
            CURRENT.set(NonNull::from(&mut *checked).as_ptr().cast());
            pooled.run();
            CURRENT.set(null_mut());
            checked.row().doing(Doing::Idle);
        });
    });
}

impl Tree<'_> {
    /// A task and all below it: what it leaves to whoever joins it. `number` is 1 at the root, and
    /// doubles with each fork.
    fn branch(&self, depth: usize, number: u64) -> Vec<Block> {
        if self.stop.is_set() {
            return Vec::new();
        }
        let mut rng = generator(self.seed, number);
        let mut left = with_checked(|checked| -> Vec<Block> {
            (0..self.blocks).map(|_| checked.malloc(self.sizes.draw(&mut rng))).collect()
        });
        if depth == 0 {
            return left;
        }
        let (mut one, other) = rayon::join(
            || self.branch(depth - 1, 2 * number),
            || self.branch(depth - 1, 2 * number + 1),
        );
        one.extend(other);
        with_checked(|checked| {
            for block in one {
                checked.verify(&block);
                // A few live up to the root: the set of live blocks stays bounded, and of all ages.
                if below(&mut rng, 8) == 0 && left.len() < 8 * self.blocks {
                    left.push(block);
                } else {
                    checked.row().add(Count::HandOffs, 1);
                    checked.free(block);
                }
            }
        });
        left
    }
}

/// Calls `work`, which does not wait for another task, with what the calling worker checks with.
fn with_checked<R>(work: impl FnOnce(&mut Checked<'_>) -> R) -> R {
    let current = CURRENT.get().cast::<Checked<'_>>();
    assert!(!current.is_null(), "tasks run in the pool's threads");
    // SAFETY: set by this thread, in `round`, for the time that it runs tasks, from the one
    // reference there is. No other is made meanwhile: `work` starts no task and waits for none, so
    // no second call is below this one.
    let checked = unsafe { &mut *current };
    let result = work(checked);
    checked.row().doing(Doing::Waiting);
    result
}
