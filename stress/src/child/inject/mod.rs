//! What a child does while calls to the OS are refused: rounds of requests that reach the OS often.
//!
//! ```text
//! armed      a round: null is an answer, and changes nothing           once, or again and again by all threads
//! disarmed   a round: everything is granted                            once
//! ```
//!
//! A round allocates, resizes and frees blocks of all sizes, starts threads that do so too and leave blocks
//! behind, and frees everything. Every byte is checked throughout.

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
use crate::child::workers::barrier::Gate;
use crate::inject::injector::Refuser;
use crate::model::injection::{Calls, MADE, Plan, REFUSED};

pub use self::worker::Setting;

/// What a scenario works with.
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
    /// Runs it under `plan`; `tell` is called now and then, by one thread.
    ///
    /// # Errors
    /// A sentence: the refusals can't be made here.
    pub fn run(
        &self,
        plan: Plan,
        refuser: &mut Refuser,
        tell: impl Fn() + Sync,
    ) -> Result<(), String> {
        let overlap = Overlap::default();
        match plan {
            Plan::OneIn { .. } => self.by_chance(refuser, &overlap, tell)?,
            Plan::AddressSpace(_) => {
                let mut worker = Worker::new(&self.setting, &overlap, 0);
                refuser.arm()?;
                worker.fill();
                self.disarm(refuser)?;
            }
            Plan::None | Plan::Once(_) => {
                let mut worker = Worker::new(&self.setting, &overlap, 0);
                refuser.arm()?;
                worker.round(self.setting.seed.0, 0);
                self.disarm(refuser)?;
            }
        }
        // The OS has recovered: whatever was refused must be granted now, also what the refusals have made
        // the subject remember.
        let before = self.setting.board.tally()[Count::Refusals];
        let mut worker = Worker::new(&self.setting, &overlap, 0);
        worker.sequence_from(1 << 40);
        worker.round(self.setting.seed.0, 0);
        let refused = self.setting.board.tally()[Count::Refusals] - before;
        if refused > 0 {
            let seen = format!("{refused} requests were answered by null");
            let expected = format!("every request to be granted again, after {plan}");
            violation::raise(Kind::UnprovokedNull, &expected, seen);
        }
        assert!(overlap.is_empty(), "a round ends with nothing live");
        Ok(())
    }

    /// Refuses no more, and notes what became of the calls, before anything is judged: a finding takes along what is
    /// noted by then.
    fn disarm(&self, refuser: &mut Refuser) -> Result<(), String> {
        let Some(Calls { made, refused }) = refuser.disarm()? else { return Ok(()) };
        self.setting.board.note(MADE, made);
        self.setting.board.note(REFUSED, refused);
        let nulls = self.setting.board.tally()[Count::Refusals];
        if nulls > 0 && refused == 0 {
            let seen = format!("{nulls} requests were answered by null");
            violation::raise(
                Kind::UnprovokedNull,
                "no null where no call to the OS is refused",
                seen,
            );
        }
        Ok(())
    }

    /// Rounds by all workers at once until time is up, from rest to rest.
    fn by_chance(
        &self,
        refuser: &mut Refuser,
        overlap: &Overlap,
        tell: impl Fn() + Sync,
    ) -> Result<(), String> {
        let gate = Gate::new(self.threads + 1);
        let over = AtomicBool::new(false);
        let mut sizes = Vec::new();
        let sized = thread::scope(|scope| {
            let start = |number: usize| {
                let (gate, over) = (&gate, &over);
                scope.spawn(move || {
                    let mut worker = Worker::new(&self.setting, overlap, number);
                    gate.pass();
                    for round in 0.. {
                        gate.pass();
                        // Relaxed: the gate orders it.
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                        worker.round(
                            self.setting.seed.0,
                            round * self.threads as u64 + number as u64,
                        );
                        gate.pass();
                    }
                })
            };
            let workers: Vec<_> = (0..self.threads).map(start).collect();
            // Threads are std's, which end the process where a call is refused while they start.
            gate.pass();
            let mut sized = refuser.arm();
            loop {
                // However slow the machine: enough rounds to tell growth from chance.
                let ended = sizes.len() >= ENOUGH_ROUNDS
                    && self.deadline.is_none_or(|deadline| Instant::now() >= deadline);
                // Relaxed: as above.
                over.store(ended || self.stop.is_set() || sized.is_err(), Ordering::Relaxed);
                gate.pass();
                if over.load(Ordering::Relaxed) {
                    // A join waits for a thread's destructors too; the scope's end alone would not.
                    workers
                        .into_iter()
                        .for_each(|worker| worker.join().expect("it ends the process"));
                    return sized;
                }
                gate.pass();
                sized = refuser.size().map(|size| sizes.push(size));
                self.setting.board.row(0).add(Count::Rounds, 1);
                tell();
            }
        });
        sized?;
        self.disarm(refuser)?;
        judge_growth(&self.setting, &sizes);
        Ok(())
    }
}
