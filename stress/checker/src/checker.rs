//! The front door: an allocator under check, and a worker for each thread that calls it.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::allocator::Allocator;
use crate::checked::Checked;
use crate::counters::{Board, Count, Counters, Notes};
use crate::identity::MOST_OWNERS;
use crate::overlap::Overlap;
use crate::schedule::{self, Rates};

/// An allocator under check: the map of what is live, and the counters of its workers.
///
/// Its memory comes from the program's own allocator, which must be another than the one under
/// check.
#[derive(Debug)]
pub struct Checker {
    allocator: Allocator,
    overlap: Overlap,
    board: Board,
    /// How many workers there are.
    taken: AtomicUsize,
    disturbed: Rates,
    seed: u64,
}

impl Checker {
    /// Checks `allocator`, which up to `workers` threads will call: at most [`MOST_OWNERS`].
    ///
    /// # Panics
    /// They are more.
    pub fn new(allocator: Allocator, workers: usize) -> Self {
        assert!(
            workers <= MOST_OWNERS,
            "{workers} workers: at most {MOST_OWNERS} can be told apart"
        );
        Self {
            allocator,
            overlap: Overlap::default(),
            board: Board::new(workers),
            taken: AtomicUsize::new(0),
            disturbed: Rates::DEFAULT,
            seed: 0,
        }
    }

    /// Has workers yield and sleep so often, at moments that `seed` decides; see [`schedule`].
    #[must_use]
    pub fn disturbed(self, rates: Rates, seed: u64) -> Self {
        Self { disturbed: rates, seed, ..self }
    }

    /// A worker for the calling thread, which no other worker of this checker has the number of.
    ///
    /// # Panics
    /// As many are taken as [`new`](Self::new) was told of.
    pub fn worker(&self) -> Checked<'_> {
        let workers = self.board.workers();
        // Relaxed: the number alone counts, and each is given once.
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        assert!(number < workers, "all {workers} workers are taken: pass more to Checker::new");
        schedule::begin(self.disturbed, self.seed, number as u64);
        // SAFETY: the number was just taken, by this call alone.
        unsafe { Checked::new(self.allocator, &self.overlap, &self.board, number) }
    }

    /// What was done so far, by all workers.
    pub fn counters(&self) -> Counters {
        self.board.counters()
    }

    /// What the allocator does that is legal and worth knowing, and how often it was seen.
    pub fn notes(&self) -> Notes {
        self.board.notes()
    }

    /// Ends the check: every block that was allocated must have been freed, and so read through
    /// once more. Returns what was done.
    ///
    /// # Errors
    /// Blocks are still live, which nobody has read since.
    pub fn finish(self) -> Result<Counters, StillLive> {
        let counters = self.counters();
        match self.overlap.lowest() {
            None => Ok(counters),
            Some(lowest) => {
                let [allocated, freed] = [Count::BytesAllocated, Count::BytesFreed];
                Err(StillLive { bytes: counters[allocated] - counters[freed], lowest })
            }
        }
    }
}

/// A check ended while blocks were live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are still live, the lowest at {lowest:#x}: free every block before finish")]
pub struct StillLive {
    /// Bytes that were asked for and not freed.
    pub bytes: u64,
    /// The lowest address that is live, to within 8 bytes.
    pub lowest: usize,
}
