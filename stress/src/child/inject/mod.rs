//! What a child does while calls to the OS fail: rounds of requests that reach the OS often.
//!
//! ```text
//! armed      a round: null is an answer, and changes nothing    once, or by all threads, again and again
//! disarmed   a round: everything is granted                     once
//! ```
//!
//! A round allocates, resizes and frees blocks of all sizes, starts threads that do so too and
//! leave blocks behind, and frees everything. Every byte is checked throughout.

mod growth;
mod stack;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use drystone_checker::counters::Count;
use drystone_checker::overlap::Overlap;
use drystone_checker::violation::{self, Kind};
use drystone_harness::stop::Stop;

use crate::child::inject::growth::{ENOUGH_ROUNDS, judge_growth};
use crate::child::inject::worker::Worker;
use crate::child::workers::barrier::SpinBarrier;
use crate::inject::injector::{InjectError, Injector};
use crate::model::injection::{Calls, FAILED, InjectionPlan, MADE};

pub use self::worker::Setting;

/// What a scenario works with.
#[derive(Debug)]
pub struct Scenario<'a> {
    /// What every worker works with.
    pub setting: Setting<'a>,
    /// How many workers.
    pub threads: usize,
    /// When rounds by chance end.
    pub deadline: Option<Instant>,
    /// Set from outside.
    pub stop: &'a Stop,
}

impl Scenario<'_> {
    /// Runs it under `plan`; `progress` is called now and then, by one thread.
    ///
    /// # Errors
    /// Calls can't be made to fail here.
    pub fn run(
        &self,
        plan: InjectionPlan,
        injector: &mut Injector,
        progress: impl Fn() + Sync,
    ) -> Result<(), InjectError> {
        let overlap = Overlap::default();
        match plan {
            InjectionPlan::OneIn { .. } => self.by_chance(injector, &overlap, progress)?,
            InjectionPlan::AddressSpace(_) => {
                let mut worker = Worker::new(&self.setting, &overlap, 0);
                injector.arm()?;
                worker.fill();
                self.disarm(injector)?;
            }
            InjectionPlan::None | InjectionPlan::Once(_) => {
                let mut worker = Worker::new(&self.setting, &overlap, 0);
                injector.arm()?;
                worker.round(self.setting.seed.0, 0);
                self.disarm(injector)?;
            }
        }
        // The OS has recovered: whatever failed must be granted now, also what the failures have
        // made the allocator remember.
        let before = self.setting.board.counters()[Count::FailedRequests];
        let mut worker = Worker::new(&self.setting, &overlap, 0);
        worker.sequence_from(1 << 40);
        worker.round(self.setting.seed.0, 0);
        let nulls = self.setting.board.counters()[Count::FailedRequests] - before;
        if nulls > 0 {
            let seen = format!("{nulls} requests were answered by null");
            let expected = format!("every request to be granted again, after {plan}");
            violation::raise(Kind::UnprovokedNull, &expected, seen);
        }
        assert!(overlap.is_empty(), "a round ends with nothing live");
        Ok(())
    }

    /// Lets all calls pass, and notes what became of the calls, before anything is judged: a
    /// finding takes along what is noted by then.
    fn disarm(&self, injector: &mut Injector) -> Result<(), InjectError> {
        let Some(Calls { made, failed }) = injector.disarm()? else { return Ok(()) };
        self.setting.board.note(MADE, made);
        self.setting.board.note(FAILED, failed);
        let nulls = self.setting.board.counters()[Count::FailedRequests];
        if nulls > 0 && failed == 0 {
            let seen = format!("{nulls} requests were answered by null");
            violation::raise(
                Kind::UnprovokedNull,
                "no null where no call to the OS is made to fail",
                seen,
            );
        }
        Ok(())
    }

    /// Rounds by all workers at once until time is up, from rest to rest.
    fn by_chance(
        &self,
        injector: &mut Injector,
        overlap: &Overlap,
        progress: impl Fn() + Sync,
    ) -> Result<(), InjectError> {
        let barrier = SpinBarrier::new(self.threads + 1);
        let over = AtomicBool::new(false);
        let mut sizes = Vec::new();
        let sized = thread::scope(|scope| {
            let start = |number: usize| {
                let (barrier, over) = (&barrier, &over);
                scope.spawn(move || {
                    let mut worker = Worker::new(&self.setting, overlap, number);
                    barrier.wait();
                    for round in 0.. {
                        barrier.wait();
                        // Relaxed: the barrier orders it.
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                        worker.round(
                            self.setting.seed.0,
                            round * self.threads as u64 + number as u64,
                        );
                        barrier.wait();
                    }
                })
            };
            let workers: Vec<_> = (0..self.threads).map(start).collect();
            // Threads are std's, which end the process where a call fails while they start.
            barrier.wait();
            let mut sized = injector.arm();
            loop {
                // However slow the machine: enough rounds to tell growth from chance.
                let ended = sizes.len() >= ENOUGH_ROUNDS
                    && self.deadline.is_none_or(|deadline| Instant::now() >= deadline);
                // Relaxed: as above.
                over.store(ended || self.stop.is_set() || sized.is_err(), Ordering::Relaxed);
                barrier.wait();
                if over.load(Ordering::Relaxed) {
                    // A join waits for a thread's destructors too; the scope's end alone would not.
                    workers
                        .into_iter()
                        .for_each(|worker| worker.join().expect("it ends the process"));
                    return sized;
                }
                barrier.wait();
                sized = injector.size().map(|size| sizes.push(size));
                self.setting.board.row(0).add(Count::Rounds, 1);
                progress();
            }
        });
        sized?;
        self.disarm(injector)?;
        judge_growth(&self.setting, &sizes);
        Ok(())
    }
}
