//! The worker: what it knows, counts and writes down.

use std::ffi::c_void;

use crate::allocator::Allocator;
use crate::checks::{Check, Checks};
use crate::counters::{Board, Count, Doing, Row};
use crate::journal::{self, Call, Part};
use crate::overlap::Overlap;
use crate::schedule;
use crate::violation;

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
        // SAFETY: nobody else uses this worker's part, as the caller promises.
        let (row, journal) = (board.row(worker), unsafe { journal::part(worker) });
        if let Some(journal) = journal {
            journal.call(Call::Begin);
        }
        Self { allocator, overlap, board, row, worker, sequence: 0, checks: Checks::ALL, journal }
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
