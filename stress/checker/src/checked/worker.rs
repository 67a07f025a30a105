//! The worker: what it knows, counts and writes down.

use std::cell::Cell;
use std::ffi::c_void;

use drystone_workloads::errno;

use crate::allocator::Allocator;
use crate::checks::{Check, Checks};
use crate::clock::Ticks;
use crate::counters::latency::{self, Anchor, STALL, STALLS};
use crate::counters::{Board, Count, Doing, Row};
use crate::journal::{self, Call, Part};
use crate::overlap::Overlap;
use crate::schedule;
use crate::violation::{self, Kind};

/// A worker that calls an allocator and checks every answer.
///
/// Wherever the allocator is wrong the methods do not return: see [`violation`].
#[derive(Debug)]
pub struct Checked<'a> {
    pub(super) allocator: Allocator,
    pub(super) overlap: &'a Overlap,
    pub(super) board: &'a Board,
    pub(super) row: &'a Row,
    pub(super) worker: usize,
    pub(super) sequence: u64,
    /// What is done around the calls.
    pub(super) checks: Checks,
    /// Where the calls are written down, if they are.
    pub(super) journal: Option<Part>,
    clock: Ticks,
    /// The thread's account a little before the present call.
    anchor: Cell<Anchor>,
    /// Whether stalls are judged: where no other thread's lock can be what a call waits for.
    judges_stalls: bool,
}

impl<'a> Checked<'a> {
    /// Worker number `worker`, which the calling thread is.
    /// [`Checker::worker`](crate::Checker::worker) does the same with a number of its own.
    ///
    /// # Safety
    /// While this is in use, no other thread uses another one with the same number.
    pub unsafe fn new(
        allocator: Allocator,
        overlap: &'a Overlap,
        board: &'a Board,
        worker: usize,
    ) -> Self {
        violation::this_is_worker(worker);
        // SAFETY: nobody else uses this worker's part.
        let (row, journal) = (board.row(worker), unsafe { journal::part(worker) });
        if let Some(journal) = journal {
            journal.call(Call::Begin);
        }
        row.is_this_thread();
        Self {
            allocator,
            overlap,
            board,
            row,
            worker,
            sequence: 0,
            checks: Checks::ALL,
            journal,
            clock: board.clock(),
            anchor: Cell::default(),
            judges_stalls: false,
        }
    }

    /// With these checks alone.
    #[must_use]
    pub fn checking(mut self, checks: Checks) -> Self {
        self.checks = checks;
        self.journal = self.journal.filter(|_| checks.has(Check::Journal));
        self
    }

    /// The worker's number.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The worker's counters.
    pub fn row(&self) -> &'a Row {
        self.row
    }

    /// Continues the numbering of blocks where an earlier thread of the same worker stopped, so
    /// that no two blocks of a run have one identity.
    #[must_use]
    pub fn counting_from(mut self, sequence: u64) -> Self {
        self.sequence = sequence;
        self
    }

    /// As [`counting_from`](Self::counting_from), in place.
    pub fn restart_at(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// How many blocks the worker has made.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The allocator.
    pub fn allocator(&self) -> Allocator {
        self.allocator
    }

    /// Everybody's counters.
    pub fn board(&self) -> &'a Board {
        self.board
    }

    /// What is live.
    pub fn overlap(&self) -> &'a Overlap {
        self.overlap
    }

    /// From here on nothing is written down: for a forked child, whose calls are not the run's.
    pub fn leave_the_journal(&mut self) {
        self.journal = None;
    }

    /// The calling thread is the worker from here on: what was known of the one before is not of
    /// this.
    pub fn moved_to_this_thread(&self) {
        self.row.is_this_thread();
        self.anchor.set(Anchor::default());
    }

    /// From here on a call that stalls again and again is a violation. For a worker beside whom no
    /// other works.
    pub fn judge_stalls(&mut self) {
        self.judges_stalls = true;
    }

    /// Makes a call that takes no block, and counts how long it took.
    #[inline]
    pub(super) fn timed<R>(
        &self,
        doing: Doing,
        size: usize,
        alignment: usize,
        call: impl FnOnce() -> R,
    ) -> R {
        self.timed_on(doing, size, alignment, false, call)
    }

    /// The same for one that takes a block, of another worker's or its own.
    #[inline]
    pub(super) fn timed_on<R>(
        &self,
        doing: Doing,
        size: usize,
        alignment: usize,
        others: bool,
        call: impl FnOnce() -> R,
    ) -> R {
        self.doing(doing);
        if !self.checks.has(Check::Latency) {
            return call();
        }
        self.row.calls(true);
        self.row.cells.add(doing, size, alignment, others);
        let began = self.clock.nanoseconds();
        let mut anchor = self.anchor.get();
        anchor.refresh(began);
        self.anchor.set(anchor);
        let began = if anchor.is_of(began) { self.clock.nanoseconds() } else { began };
        let result = call();
        self.row.calls(false);
        let took = self.clock.nanoseconds().saturating_sub(began);
        self.row.latency.add(doing, took);
        if took > latency::LONG {
            self.took_long(doing, took, size);
        }
        result
    }

    #[cold]
    fn took_long(&self, doing: Doing, took: u64, size: usize) {
        let kept = errno::get();
        let stalls = self.row.latency.long(doing, took, size as u64, &self.anchor.get());
        // The account has moved on meanwhile.
        self.anchor.set(Anchor::default());
        if let Some(stall) = stalls.filter(|stall| self.judges_stalls && stall.number >= STALLS) {
            violation::raise(
                Kind::Stall,
                &format!("a call to take less than {} ms of its own", STALL / 1_000_000),
                format!(
                    "{} of {size} bytes took {} ms, {} ms of them on a processor, the waiting for \
                     one taken off; the {}. time",
                    doing.name(),
                    stall.own / 1_000_000,
                    stall.ran / 1_000_000,
                    stall.number
                ),
            );
        }
        errno::set(kept);
    }

    /// An operation begins: a moment to be disturbed at, and to count.
    pub(super) fn begin(&self, doing: Doing) {
        if self.checks.has(Check::Schedule) {
            schedule::at_operation();
        }
        self.doing(doing);
        self.count(Count::Operations, 1);
    }

    #[inline]
    pub(super) fn doing(&self, doing: Doing) {
        if self.checks.has(Check::Counts) {
            self.row.doing(doing);
        }
    }

    #[inline]
    pub(super) fn count(&self, count: Count, by: u64) {
        if self.checks.has(Check::Counts) {
            self.row.add(count, by);
        }
    }

    /// Writes a call down, before anything that may go wrong in it.
    #[inline]
    pub(super) fn write_down(&self, call: Call) {
        if let Some(journal) = self.journal {
            journal.call(call);
        }
    }

    /// Writes down what the call returned.
    #[inline]
    pub(super) fn write_address(&self, address: *mut c_void) {
        if let Some(journal) = self.journal {
            journal.returned(address.addr());
        }
    }
}
