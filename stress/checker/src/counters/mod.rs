//! What was done: counters that workers raise, and anyone reads.
//!
//! The names in reports outlive the names in here: files that were written before are still read,
//! also those from before a count was renamed.
//!
//! Each worker has a row of its own on the [`Board`]; it alone writes there, so a count costs a
//! plain load and store. Readers see each counter a little late, and never torn.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Index, IndexMut};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crossbeam_utils::CachePadded;
use serde::{Deserialize, Serialize};

use crate::clock::Ticks;
use crate::counters::coverage::{Cells, Coverage};
use crate::counters::latency::{CallTimes, Latency};

pub mod coverage;
mod doing;
pub mod latency;

pub use doing::Doing;

macro_rules! counts {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Count { $($(#[$doc])* $variant,)* }

        impl Count {
            /// Every counter, in the order of the reports.
            pub const ALL: &'static [Count] = &[$(Count::$variant,)*];

            /// Its name in the JSON report.
            pub fn name(self) -> &'static str {
                match self { $(Count::$variant => $name,)* }
            }
        }
    };
}

counts! {
    /// Calls of the allocator that allocate, resize or free.
    Operations = "operations",
    /// Bytes compared with what they must be: stamps, zeroes, prefixes.
    BytesVerified = "bytes_verified",
    /// Bytes asked for in blocks that were allocated.
    BytesAllocated = "bytes_allocated",
    /// Bytes asked for in blocks that were freed or resized: those allocated less these are live.
    BytesFreed = "bytes_returned",
    /// Blocks that another thread than the giver received.
    HandOffs = "hand_offs",
    /// Requests that were answered by null: those that had to be, and those that may be because a
    /// call to the OS was made to fail. Anywhere else null is a violation.
    FailedRequests = "failed_requests",
    /// Rounds of the workload between two moments of rest.
    Rounds = "rounds",
    /// Walks of the heap over itself that found it sound.
    HeapChecks = "heap_checks",
    /// Rounds in which several threads freed one block.
    DoubleFreeRounds = "double_free_rounds",
    /// Of these, rounds in which at least two frees were under way at once.
    DoubleFreeRoundsRaced = "double_free_rounds_raced",
    /// Rounds in which the free of the block's owner, who took part, took effect.
    OwnerWon = "double_free_rounds_owner_won",
    /// Rounds in which another thread's free took effect.
    OtherWon = "double_free_rounds_other_won",
    /// Frees beyond the first of an allocation.
    DoubleFrees = "double_frees_tried",
    /// Of these, reported by the very call.
    AtCall = "double_frees_found_at_call",
    /// Of these, reported afterwards.
    Deferred = "double_frees_deferred",
    /// Of those found afterwards: at reuse, before the block would have had a second owner.
    AtReuse = "double_frees_found_at_reuse",
    /// Of those found afterwards: at a sweep.
    AtSweep = "double_frees_found_at_sweep",
    /// Of those found afterwards: at the exit of the thread that owned the block.
    AtExit = "double_frees_found_at_exit",
    /// Of these, raced with reuse: the block had been allocated again, so the free was legal.
    RacedWithReuse = "double_frees_stale",
    /// Of these (foreign allocators), the process died by the allocator's own report.
    OwnReport = "double_frees_died_by_own_report",
    /// Of these (foreign allocators), the process crashed.
    Crashed = "double_frees_crashed",
    /// Of these (foreign allocators), the process hung.
    Hung = "double_frees_hung",
    /// Of these (foreign allocators), nothing was noticed.
    Silent = "double_frees_silent",
    /// Of these (foreign allocators), nothing was noticed and the block had two owners afterwards.
    TwoOwners = "double_frees_two_owners",
    /// Forks whose child came to a good end.
    Forks = "forks",
    /// Operations that their children did.
    ForkedOperations = "operations_in_forked_children",
    /// Signals that interrupted a worker.
    Signals = "signals",
    /// Threads that ended in the middle of their work.
    ThreadEnds = "thread_ends",
    /// Operations in their thread-local destructors.
    EndOperations = "operations_in_thread_ends",
    /// Libraries loaded, used and closed.
    Loads = "libraries_loaded",
    /// Misuses planted in a correct run.
    Misuses = "misuses_planted",
    /// Of these, reported by the very call.
    MisusesAtCall = "misuses_reported_at_call",
    /// Of these, reported afterwards.
    MisusesDeferred = "misuses_deferred",
}

/// What counts were called before. Records and findings of then are still read.
const OLD_NAMES: [(&str, Count); 9] = [
    ("duels", Count::DoubleFreeRounds),
    ("duels_raced", Count::DoubleFreeRoundsRaced),
    ("duels_owner_won", Count::OwnerWon),
    ("duels_other_won", Count::OtherWon),
    ("double_frees_found_at_hand_out", Count::AtReuse),
    ("refusals", Count::FailedRequests),
    ("bytes_issued", Count::BytesAllocated),
    ("double_frees_found_late", Count::Deferred),
    ("misuses_reported_late", Count::MisusesDeferred),
];

const COUNTS: usize = Count::ALL.len();

/// A value for each [`Count`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "BTreeMap<String, u64>", from = "BTreeMap<String, u64>")]
pub struct Counters([u64; COUNTS]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; COUNTS])
    }
}

impl Index<Count> for Counters {
    type Output = u64;

    fn index(&self, count: Count) -> &u64 {
        &self.0[count as usize]
    }
}

impl IndexMut<Count> for Counters {
    fn index_mut(&mut self, count: Count) -> &mut u64 {
        &mut self.0[count as usize]
    }
}

impl AddAssign<&Counters> for Counters {
    fn add_assign(&mut self, other: &Counters) {
        for (local, other) in self.0.iter_mut().zip(other.0) {
            *local += other;
        }
    }
}

impl From<Counters> for BTreeMap<String, u64> {
    fn from(counters: Counters) -> Self {
        Count::ALL.iter().map(|&count| (count.name().to_owned(), counters[count])).collect()
    }
}

impl From<BTreeMap<String, u64>> for Counters {
    fn from(map: BTreeMap<String, u64>) -> Self {
        let mut counters = Counters::default();
        for &count in Count::ALL {
            counters[count] = map.get(count.name()).copied().unwrap_or(0);
        }
        for (name, count) in OLD_NAMES {
            counters[count] += map.get(name).copied().unwrap_or(0);
        }
        counters
    }
}

/// How long calls took, and which came up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Kind by kind.
    pub times: Vec<CallTimes>,
    /// Combinations of call, size, alignment and thread.
    pub coverage: Coverage,
}

impl Seen {
    /// Adds another process's.
    pub fn add(&mut self, other: &Self) {
        for times in &other.times {
            match self.times.iter_mut().find(|one| one.call == times.call) {
                Some(one) => one.add(times),
                None => self.times.push(times.clone()),
            }
        }
        self.coverage.add(&other.coverage);
    }
}

/// One worker's counters and what it is at.
#[derive(Debug)]
pub struct Row {
    counts: [AtomicU64; COUNTS],
    doing: AtomicU8,
    /// The thread that the worker is, as the kernel numbers it; 0 before there was one.
    thread: AtomicU32,
    /// Whether it is in a call of the allocator now.
    in_a_call: AtomicBool,
    /// How long its calls take.
    pub latency: Latency,
    /// What its calls are.
    pub cells: Cells,
}

impl Row {
    /// Raises a counter. Called by the row's own worker only.
    #[inline]
    pub fn add(&self, count: Count, by: u64) {
        let counter = &self.counts[count as usize];
        // Relaxed: counters publish nothing else, and the row has one writer.
        counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
    }

    /// One counter's value.
    #[inline]
    pub fn get(&self, count: Count) -> u64 {
        // Relaxed: as in `add`.
        self.counts[count as usize].load(Ordering::Relaxed)
    }

    /// Says what the worker is at.
    #[inline]
    pub fn doing(&self, doing: Doing) {
        // Relaxed: read for reports only.
        self.doing.store(doing as u8, Ordering::Relaxed);
    }

    /// What the worker is at.
    pub fn at(&self) -> Doing {
        // Relaxed: as in `doing`.
        Doing::of(self.doing.load(Ordering::Relaxed))
    }

    /// As it is printed.
    pub fn what(&self) -> &'static str {
        self.at().name()
    }

    /// Whether the worker is in a call of the allocator. What it is at says which, and stays when
    /// the call has returned.
    pub fn in_a_call(&self) -> bool {
        // Relaxed: as in `doing`.
        self.in_a_call.load(Ordering::Relaxed)
    }

    /// Says whether the worker is in a call.
    #[inline]
    pub(crate) fn calls(&self, whether: bool) {
        // Relaxed: as in `doing`.
        self.in_a_call.store(whether, Ordering::Relaxed);
    }

    /// The worker is the calling thread.
    pub fn is_this_thread(&self) {
        // SAFETY: takes nothing.
        let thread = unsafe { libc::gettid() };
        // Relaxed: read for reports only.
        self.thread.store(thread.cast_unsigned(), Ordering::Relaxed);
    }

    /// The thread that the worker is, as the kernel numbers it.
    pub fn thread(&self) -> Option<u32> {
        // Relaxed: as in `is_this_thread`.
        Some(self.thread.load(Ordering::Relaxed)).filter(|thread| *thread != 0)
    }
}

/// Every worker's row, and the notes.
#[derive(Debug)]
pub struct Board {
    rows: Vec<CachePadded<Row>>,
    notes: Mutex<Notes>,
    clock: Ticks,
}

const MOST_NOTES: usize = 256;

/// What an allocator does that is legal and worth knowing, and how often it was seen.
pub type Notes = BTreeMap<String, u64>;

impl Board {
    /// A board for `workers` workers, all counters zero.
    pub fn new(workers: usize) -> Self {
        let row = || {
            CachePadded::new(Row {
                counts: [const { AtomicU64::new(0) }; COUNTS],
                doing: AtomicU8::new(Doing::Idle as u8),
                thread: AtomicU32::new(0),
                in_a_call: AtomicBool::new(false),
                latency: Latency::default(),
                cells: Cells::default(),
            })
        };
        let clock = Ticks::begin();
        Self { rows: (0..workers).map(|_| row()).collect(), notes: Mutex::default(), clock }
    }

    /// How many workers it is for.
    pub fn workers(&self) -> usize {
        self.rows.len()
    }

    /// A worker's row.
    pub fn row(&self, worker: usize) -> &Row {
        &self.rows[worker]
    }

    /// The sum over all workers.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for row in &self.rows {
            for &count in Count::ALL {
                sum[count] += row.get(count);
            }
        }
        sum
    }

    /// The clock of all workers.
    pub fn clock(&self) -> Ticks {
        self.clock
    }

    /// How long the calls took so far.
    pub fn call_times(&self) -> Vec<CallTimes> {
        CallTimes::of(self.rows.iter().map(|row| &row.latency))
    }

    /// Which combinations came up so far.
    pub fn coverage(&self) -> Coverage {
        Coverage::of(self.rows.iter().map(|row| &row.cells))
    }

    /// Both.
    pub fn seen(&self) -> Seen {
        Seen { times: self.call_times(), coverage: self.coverage() }
    }

    /// What each worker is at, in order.
    pub fn doings(&self) -> Vec<String> {
        self.rows
            .iter()
            .map(|row| format!("{} (operation {})", row.what(), row.get(Count::Operations)))
            .collect()
    }

    /// Adds to a note.
    pub fn note(&self, what: &str, times: u64) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        // An allocator may print something new each time; a long run must not remember it all.
        if let Some(count) = notes.get_mut(what) {
            *count += times;
        } else if notes.len() < MOST_NOTES {
            notes.insert(what.to_owned(), times);
        }
    }

    /// Calls `f`, which forks, while nobody is at the notes, so that the child can be.
    pub fn held<R>(&self, f: impl FnOnce() -> R) -> R {
        let guard = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f();
        drop(guard);
        result
    }

    /// All notes.
    pub fn notes(&self) -> Notes {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_with_the_names_of_before_are_read() {
        for (old, count) in OLD_NAMES {
            let read: Counters = serde_json::from_str(&format!("{{\"{old}\":7}}")).unwrap();
            let mut expected = Counters::default();
            expected[count] = 7;
            assert_eq!(read, expected, "{old}");
        }
    }

    #[test]
    fn counters_survive_json_and_a_missing_name_is_zero() {
        let board = Board::new(2);
        board.row(0).add(Count::Operations, 3);
        board.row(1).add(Count::Operations, 4);
        board.row(1).add(Count::Deferred, 1);
        let counters = board.counters();
        assert_eq!(counters[Count::Operations], 7);
        let json = serde_json::to_string(&counters).unwrap();
        assert_eq!(serde_json::from_str::<Counters>(&json).unwrap(), counters);
        assert_eq!(serde_json::from_str::<Counters>("{}").unwrap(), Counters::default());
    }

    #[test]
    fn names_are_distinct() {
        let names: std::collections::HashSet<_> =
            Count::ALL.iter().map(|count| count.name()).collect();
        assert_eq!(names.len(), COUNTS);
    }
}
