//! How long each call of a row takes, by kind: the allocator's functions behind others that look at
//! the clock before and after. In a run of its own, for the clock takes longer than most calls.
//!
//! ```text
//! row ─► malloc here ─► clock, malloc of the allocator, clock ─► this thread's histograms
//! ```
//!
//! A thread takes its histograms from a pool, and hands them back when it ends; so a row that
//! starts thousands of threads makes a handful.

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use drystone_harness::stats::median;
use drystone_workloads::calls::Calls;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A row's calls, by kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    /// Nanoseconds from one look at the clock to the next with nothing between, the median: as much
    /// is in every figure.
    pub clock: u64,
    /// `malloc`, and `aligned_alloc` where a row calls that.
    pub malloc: Option<Percentiles>,
    /// `free`
    pub free: Option<Percentiles>,
    /// `calloc`
    pub calloc: Option<Percentiles>,
    /// `realloc`
    pub realloc: Option<Percentiles>,
}

/// How long calls took, in nanoseconds, to within a hundredth. A percentile that fewer than ten
/// calls lie above is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many were made.
    pub calls: u64,
    /// The median.
    pub p50: u64,
    /// Of a hundred calls one takes longer.
    pub p99: Option<u64>,
    /// Of a thousand.
    pub p99_9: Option<u64>,
    /// Of ten thousand.
    pub p99_99: Option<u64>,
    /// The longest of all.
    pub max: u64,
}

/// Kinds of calls, as they are named.
pub const KINDS: [&str; 4] = ["malloc", "free", "calloc", "realloc"];

impl Latencies {
    /// The figures of each kind, in the order of [`KINDS`].
    pub fn kinds(&self) -> [Option<Percentiles>; KINDS.len()] {
        [self.malloc, self.free, self.calloc, self.realloc]
    }
}

impl Percentiles {
    /// Of several runs: medians, and the longest of all. None of none.
    pub fn over(runs: &[Self]) -> Option<Self> {
        let median = |figure: fn(&Self) -> Option<u64>| {
            let values: Option<Vec<f64>> =
                runs.iter().map(|run| figure(run).map(|value| value as f64)).collect();
            median(&values?).map(|value| value.round() as u64)
        };
        Some(Self {
            calls: runs.iter().map(|run| run.calls).sum(),
            p50: median(|run| Some(run.p50))?,
            p99: median(|run| run.p99),
            p99_9: median(|run| run.p99_9),
            p99_99: median(|run| run.p99_99),
            max: runs.iter().map(|run| run.max).max()?,
        })
    }
}

const MALLOC: usize = 0;
const FREE: usize = 1;
const CALLOC: usize = 2;
const REALLOC: usize = 3;

/// The allocator's own functions.
static CALLS: OnceLock<Calls> = OnceLock::new();

/// Histograms that no thread has, and how many threads have some.
static POOL: Mutex<Pool> = Mutex::new(Pool { idle: Vec::new(), taken: 0 });
static BACK: Condvar = Condvar::new();

struct Pool {
    idle: Vec<Kinds>,
    taken: usize,
}

type Kinds = [Histogram<u64>; KINDS.len()];

/// A thread's histograms.
struct Own(Option<Kinds>);

thread_local! {
    static OWN: RefCell<Own> = RefCell::new(Own::taken());
}

impl Own {
    fn taken() -> Self {
        let mut pool = pool();
        pool.taken += 1;
        Own(Some(pool.idle.pop().unwrap_or_else(|| std::array::from_fn(|_| histogram()))))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(kinds) = self.0.take() {
            let mut pool = pool();
            pool.taken -= 1;
            pool.idle.push(kinds);
            BACK.notify_all();
        }
    }
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two significant digits, up to a minute: the row would have been given up.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("the bounds are in order")
}

/// The functions that time those of `calls`; once in a process.
pub fn timed(calls: Calls) -> Calls {
    CALLS.set(calls).expect("a process times one allocator");
    Calls { malloc, calloc, realloc, aligned_alloc, free, usable_size: calls.usable_size }
}

/// What was timed. Waits until every thread that called has ended, this one excepted.
pub fn end() -> Latencies {
    OWN.with(|own| drop(std::mem::replace(&mut *own.borrow_mut(), Own(None))));
    let pool = BACK.wait_while(pool(), |pool| pool.taken > 0);
    let pool = pool.unwrap_or_else(PoisonError::into_inner);
    let mut all: Kinds = std::array::from_fn(|_| histogram());
    for kinds in &pool.idle {
        for (sum, one) in all.iter_mut().zip(kinds) {
            sum.add(one).expect("all have the same bounds");
        }
    }
    let [malloc, free, calloc, realloc] = all.each_ref().map(percentiles);
    Latencies { clock: clock(), malloc, free, calloc, realloc }
}

fn percentiles(histogram: &Histogram<u64>) -> Option<Percentiles> {
    let calls = histogram.len();
    let beyond = |one_in: u64| {
        let order = 1.0 - 1.0 / one_in as f64;
        (calls >= 10 * one_in).then(|| histogram.value_at_quantile(order))
    };
    (calls > 0).then(|| Percentiles {
        calls,
        p50: histogram.value_at_quantile(0.5),
        p99: beyond(100),
        p99_9: beyond(1000),
        p99_99: beyond(10_000),
        max: histogram.max(),
    })
}

/// How long a call of nothing would seem to take.
fn clock() -> u64 {
    const LOOKS: usize = 10_000;
    let mut histogram = histogram();
    for _ in 0..LOOKS {
        let began = Instant::now();
        histogram.saturating_record(nanoseconds_since(began));
    }
    histogram.value_at_quantile(0.5)
}

fn nanoseconds_since(began: Instant) -> u64 {
    began.elapsed().as_nanos() as u64
}

fn calls() -> &'static Calls {
    CALLS.get().expect("these functions are given out with the allocator's")
}

fn noted(kind: usize, began: Instant) {
    let took = nanoseconds_since(began);
    OWN.with(|own| {
        let mut own = own.borrow_mut();
        let kinds = own.0.as_mut().expect("no call comes after the end");
        kinds[kind].saturating_record(took);
    });
}

unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    let (calls, began) = (calls(), Instant::now());
    // SAFETY: malloc takes any size.
    let block = unsafe { (calls.malloc)(size) };
    noted(MALLOC, began);
    block
}

unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    let (calls, began) = (calls(), Instant::now());
    // SAFETY: the function's contract is the allocator's.
    let block = unsafe { (calls.aligned_alloc)(alignment, size) };
    noted(MALLOC, began);
    block
}

unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let (calls, began) = (calls(), Instant::now());
    // SAFETY: calloc takes any sizes.
    let block = unsafe { (calls.calloc)(count, size) };
    noted(CALLOC, began);
    block
}

unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    let (calls, began) = (calls(), Instant::now());
    // SAFETY: the function's contract is the allocator's.
    let block = unsafe { (calls.realloc)(block, size) };
    noted(REALLOC, began);
    block
}

unsafe extern "C" fn free(block: *mut c_void) {
    let (calls, began) = (calls(), Instant::now());
    // SAFETY: the function's contract is the allocator's.
    unsafe { (calls.free)(block) };
    noted(FREE, began);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_numbers_and_none_where_too_few_lie_above() {
        let mut numbers = histogram();
        (1..=10_000).for_each(|number| numbers.record(number).unwrap());
        let found = percentiles(&numbers).unwrap();
        let near = |seen: u64, expected: u64| {
            assert!(seen.abs_diff(expected) <= expected / 100, "{seen} is not {expected}");
        };
        near(found.p50, 5000);
        near(found.p99.unwrap(), 9900);
        near(found.p99_9.unwrap(), 9990);
        near(found.max, 10_000);
        assert_eq!((found.calls, found.p99_99), (10_000, None));
        assert_eq!(percentiles(&histogram()), None);
        let longer = Percentiles { p50: found.p50 + 10, max: 20_000, ..found };
        let both = Percentiles::over(&[longer, found, found]).unwrap();
        assert_eq!((both.p50, both.p99, both.p99_99), (found.p50, found.p99, None));
        assert_eq!((both.calls, both.max), (30_000, 20_000));
        assert_eq!(Percentiles::over(&[]), None);
    }

    /// Calls of threads that have ended count, and so do those of this one.
    #[test]
    fn every_call_of_every_thread_is_timed() {
        let calls = timed(drystone_harness::library::functions_of_this_process(None).unwrap());
        let pair = move || {
            // SAFETY: each block is freed once, and reallocated before that.
            unsafe {
                (calls.free)((calls.realloc)((calls.malloc)(10), 1000));
                (calls.free)((calls.calloc)(1, 10));
            }
        };
        let threads: Vec<_> =
            (0..3).map(|_| std::thread::spawn(move || (0..100).for_each(|_| pair()))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        pair();
        let found = end();
        let made = found.kinds().map(|kind| kind.unwrap().calls);
        assert_eq!(made, [301, 602, 301, 301]);
        assert!(found.clock > 0 && found.malloc.unwrap().max >= found.malloc.unwrap().p50);
    }
}
