//! Double frees under contention, for a heap that says of each free whether it took effect.
//!
//! One double free is one block and several frees of it. All workers know its rules, since all draw
//! them from one stream:
//!
//! ```text
//!  1  owner     allocates the block
//!  2  all       free it, or free it and allocate
//!  3  worker 0  counts, and frees what was reused
//!  4  all       sweep
//!  5  worker 0  judges                              a barrier of all stands between two steps
//! ```
//!
//! What must hold (DESIGN, section 2). Of one block that is not reused: frees that took effect,
//! less those reported later, are one; so N frees give N − 1 reports. With reuse: frees that took
//! effect, less those reported later, equal allocations. A free of a block that was reused has
//! raced with the reuse, and is its new owner's. A realloc that moves the block is a free of it;
//! one that leaves it in its place is a free and an allocation.
//!
//! Where a report that was deferred is made: what has come up before anybody swept is counted *at a
//! reuse* in styles whose workers allocate, *at an exit* where the owner exits in the middle, and
//! *at a sweep* else, as is all that the sweeps bring.
//!
//! | file | holds |
//! |---|---|
//! | `rules` | what is done in one double free, drawn from the seed |
//! | `shared` | what the workers of a round share |
//! | `reported` | what second frees were reported as |
//! | `exiting` | a thread that owns the block and exits |
//! | `part` | one worker's frees |
//! | `judge` | the sums of all workers, and what they must be |

mod exiting;
mod judge;
mod part;
mod reported;
mod rules;
mod shared;

use std::sync::atomic::Ordering;

use drystone_checker::checked::Checked;
use drystone_checker::counters::{Board, Doing};
use drystone_checker::schedule;
use drystone_harness::stop::Stop;
use drystone_workloads::mixed::generator;

use crate::allocators::process::{OpenAllocator, Own};
use crate::child::workload::double_free::judge::Judge;
use crate::child::workload::double_free::part::Part;
use crate::child::workload::double_free::reported::Reported;
use crate::child::workload::double_free::rules::Rules;
use crate::child::workload::double_free::shared::Shared;

/// Double frees of one round.
const DOUBLE_FREES: u64 = 20_000;

/// Threads are disturbed at one place in so many inside a heap that has a probe: races are lost
/// between a check and its store.
const DISTURB_ONE_IN: u32 = 8;

/// The stream that all workers draw the rules from; workers' own streams are numbered from 0.
const RULES: u64 = u64::MAX;

/// One round.
#[derive(Debug)]
pub struct Round<'a>(Shared<'a>);

impl<'a> Round<'a> {
    /// A round for `workers` workers on a heap that answers each free.
    pub fn new(allocator: &'a OpenAllocator, own: Own, seed: u64, workers: usize) -> Self {
        Self(Shared::new(allocator, own, seed, workers))
    }

    /// One worker's part in a round, from rest to rest.
    pub fn work(&self, checked: &mut Checked<'_>, board: &Board, stop: &Stop) {
        let shared = &self.0;
        schedule::often(DISTURB_ONE_IN);
        let worker = checked.worker();
        let mut rules = generator(shared.seed, RULES);
        let mut own_stream = generator(shared.seed, worker as u64);
        let mut part = Part { shared, checked, reported: Reported::default() };
        let mut judge = Judge::new(shared);
        for number in 1..=DOUBLE_FREES {
            let rules = Rules::draw(&mut rules, shared.deeds.len());
            if worker == 0 {
                judge.move_neighbour(part.checked, rules);
            }
            let mut exiting = None;
            if worker == rules.allocating {
                let (block, thread) = part.allocate(rules);
                // Relaxed: the barrier publishes it.
                shared.block.store(block, Ordering::Relaxed);
                exiting = thread;
            }
            part.meet();
            part.reported.of = Some(rules);
            part.take_part(rules, exiting, &mut own_stream);
            part.meet();
            let sums = (worker == 0).then(|| judge.add_up(part.checked, rules));
            part.meet();
            part.checked.row().doing(Doing::Judging);
            (shared.own.sweep)();
            part.meet();
            if let Some(sums) = sums {
                judge.judge(part.checked, rules, number, sums);
                // Relaxed: the barrier publishes it.
                shared.over.store(stop.is_set(), Ordering::Relaxed);
            }
            part.meet();
            if shared.over.load(Ordering::Relaxed) {
                break;
            }
        }
        judge.free_neighbours(part.checked);
        part.reported.note(board);
        part.checked.row().doing(Doing::Idle);
    }
}
