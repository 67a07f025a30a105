//! How long calls take: a histogram for each kind of call, the longest with its processor time, and
//! the stalls that are the allocator's own.
//!
//! A call that takes long on the wall's clock may have been interrupted: on a busy machine that
//! happens all the time. So the kernel's account of the thread (`/proc/thread-self/schedstat`) is
//! read every 10 ms before a call, and after each that took [`LONG`]: the time that the thread
//! waited for a processor meanwhile is the machine's, the rest is the call's, asleep or not.

use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use drystone_workloads::errno;
use serde::{Deserialize, Serialize};

use crate::counters::doing::Doing;

/// A call that takes so long is looked at closely, nanoseconds.
pub const LONG: u64 = 20_000_000;
/// How old the account of the thread may be before a call, nanoseconds.
const ANCHOR: u64 = 10_000_000;
/// A call whose own time is more than this stalls, nanoseconds; and 4 ns more for each byte
/// that it may have to get, clear, copy or give back.
pub const STALL: u64 = 100_000_000;
/// A page fault and the clearing of its page take 4 to 10 µs on a slow virtual machine.
const A_BYTE: u64 = 4;
/// So many stalls are no accident of the machine.
pub const STALLS: u64 = 3;

/// Four buckets for each doubling.
const STEPS: u32 = 2;
const BUCKETS: usize = 40 << STEPS;

/// What the kernel says of a thread, nanoseconds since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// On a processor.
    pub ran: u64,
    /// Ready to run, while others ran.
    pub waited: u64,
}

impl Account {
    /// The calling thread's; none if the kernel keeps no such account. Allocates nothing, and
    /// leaves `errno`.
    pub fn of_this_thread() -> Option<Self> {
        let kept = errno::get();
        let account = Self::read();
        errno::set(kept);
        account
    }

    fn read() -> Option<Self> {
        let mut text = [0; 96];
        let read = File::open("/proc/thread-self/schedstat").ok()?.read(&mut text).ok()?;
        let mut fields = std::str::from_utf8(&text[..read]).ok()?.split_ascii_whitespace();
        let mut next = || fields.next()?.parse::<u64>().ok();
        Some(Self { ran: next()?, waited: next()? })
    }
}

/// The account of a worker's thread at one moment, or that there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Anchor {
    at: u64,
    account: Option<Account>,
}

impl Anchor {
    /// Reads the account anew if the last is too old.
    #[inline]
    pub(crate) fn refresh(&mut self, now: u64) {
        if now.saturating_sub(self.at) > ANCHOR || self.at == 0 {
            *self = Self { at: now.max(1), account: Account::of_this_thread() };
        }
    }

    /// Whether it was read at that moment.
    pub(crate) fn is_of(&self, now: u64) -> bool {
        self.at == now.max(1)
    }

    /// What of a call that took `took` is its own, and what of that was on a processor; none if the
    /// kernel does not say.
    fn own(&self, took: u64) -> Option<(u64, u64)> {
        let (before, after) = (self.account?, Account::of_this_thread()?);
        let waited = after.waited.saturating_sub(before.waited);
        let ran = after.ran.saturating_sub(before.ran);
        let own = took.saturating_sub(waited);
        Some((own, ran.min(own)))
    }
}

/// A call that stalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StallSeen {
    /// What it took without the waiting for a processor, nanoseconds.
    pub(crate) own: u64,
    /// What of that it was on a processor.
    pub(crate) ran: u64,
    /// How many of the worker's calls have stalled, this one included.
    pub(crate) number: u64,
}

/// The calls of one kind by one worker.
#[derive(Debug)]
struct Calls {
    histogram: [AtomicU32; BUCKETS],
    longest: AtomicU64,
    longest_ran: AtomicU64,
    stalls: AtomicU64,
    spins: AtomicU64,
    longest_stall: AtomicU64,
}

/// A worker's calls, by their kind. It alone writes there.
#[derive(Debug)]
pub struct Latency {
    kinds: Vec<Calls>,
}

impl Default for Latency {
    fn default() -> Self {
        let calls = || Calls {
            histogram: [const { AtomicU32::new(0) }; BUCKETS],
            longest: AtomicU64::new(0),
            longest_ran: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            spins: AtomicU64::new(0),
            longest_stall: AtomicU64::new(0),
        };
        Self { kinds: (0..Doing::CALLS.len()).map(|_| calls()).collect() }
    }
}

fn bucket(nanoseconds: u64) -> usize {
    let least = 1 << STEPS;
    if nanoseconds < least {
        return nanoseconds as usize;
    }
    let octave = nanoseconds.ilog2();
    let within = (nanoseconds >> (octave - STEPS)) - least;
    ((((octave - STEPS + 1) << STEPS) as usize) + within as usize).min(BUCKETS - 1)
}

/// The most that falls into a bucket.
fn most_of(bucket: usize) -> u64 {
    let least = 1u64 << STEPS;
    let bucket = bucket as u64;
    if bucket < least {
        return bucket;
    }
    let (octave, within) = ((bucket >> STEPS) - 1 + u64::from(STEPS), bucket & (least - 1));
    ((least + within + 1) << (octave - u64::from(STEPS))) - 1
}

impl Latency {
    /// Counts a call.
    #[inline]
    pub(crate) fn add(&self, doing: Doing, took: u64) {
        let count = &self.kinds[doing as usize].histogram[bucket(took)];
        // Relaxed, here and below: counters publish nothing, and a row has one writer.
        count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Looks at a call that took long, of at most `bytes` bytes: whether it is a stall.
    #[cold]
    pub(crate) fn long(
        &self,
        doing: Doing,
        took: u64,
        bytes: u64,
        anchor: &Anchor,
    ) -> Option<StallSeen> {
        let calls = &self.kinds[doing as usize];
        let own = anchor.own(took);
        if took > calls.longest.load(Ordering::Relaxed) {
            calls.longest.store(took, Ordering::Relaxed);
            calls.longest_ran.store(own.map_or(0, |(_, ran)| ran), Ordering::Relaxed);
        }
        let (own, ran) = own.filter(|(own, _)| *own > STALL + A_BYTE * bytes)?;
        calls.stalls.fetch_add(1, Ordering::Relaxed);
        if ran > STALL + A_BYTE * bytes {
            calls.spins.fetch_add(1, Ordering::Relaxed);
        }
        calls.longest_stall.fetch_max(own, Ordering::Relaxed);
        let stalls = |calls: &Calls| calls.stalls.load(Ordering::Relaxed);
        Some(StallSeen { own, ran, number: self.kinds.iter().map(stalls).sum() })
    }
}

/// The calls of one kind by all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTimes {
    /// As [`Doing::name`].
    pub call: String,
    /// How many by the logarithm of their time.
    pub histogram: Vec<u64>,
    /// The longest, nanoseconds, of those above 20 ms.
    pub longest: u64,
    /// Its time on a processor.
    pub longest_ran: u64,
    /// How many stalled: their own time, asleep or not, was over 100 ms.
    pub stalls: u64,
    /// Of these, on a processor for so long.
    #[serde(default)]
    pub spins: u64,
    /// The longest of these, the waiting for a processor taken off.
    pub longest_stall: u64,
}

impl CallTimes {
    /// All kinds that were called, from all workers' rows.
    pub fn of<'a>(rows: impl Iterator<Item = &'a Latency> + Clone) -> Vec<Self> {
        let times = |&doing: &Doing| {
            let mut all = Self { call: doing.name().to_owned(), ..Self::default() };
            all.histogram = vec![0; BUCKETS];
            for calls in rows.clone().map(|row| &row.kinds[doing as usize]) {
                for (sum, count) in all.histogram.iter_mut().zip(&calls.histogram) {
                    *sum += u64::from(count.load(Ordering::Relaxed));
                }
                let longest = calls.longest.load(Ordering::Relaxed);
                if longest > all.longest {
                    all.longest = longest;
                    all.longest_ran = calls.longest_ran.load(Ordering::Relaxed);
                }
                all.stalls += calls.stalls.load(Ordering::Relaxed);
                all.spins += calls.spins.load(Ordering::Relaxed);
                let stall = calls.longest_stall.load(Ordering::Relaxed);
                all.longest_stall = all.longest_stall.max(stall);
            }
            while all.histogram.last() == Some(&0) {
                all.histogram.pop();
            }
            all
        };
        let all = Doing::CALLS.iter().map(times);
        all.filter(|times| !times.histogram.is_empty()).collect()
    }

    /// Adds another process's calls of the same kind.
    pub fn add(&mut self, other: &Self) {
        let length = self.histogram.len().max(other.histogram.len());
        self.histogram.resize(length, 0);
        for (sum, count) in self.histogram.iter_mut().zip(&other.histogram) {
            *sum += count;
        }
        if other.longest > self.longest {
            (self.longest, self.longest_ran) = (other.longest, other.longest_ran);
        }
        self.stalls += other.stalls;
        self.spins += other.spins;
        self.longest_stall = self.longest_stall.max(other.longest_stall);
    }

    /// How many calls.
    pub fn count(&self) -> u64 {
        self.histogram.iter().sum()
    }

    /// The time that so many parts in a million of the calls stay within, nanoseconds, to a fifth.
    pub fn quantile(&self, millionths: u64) -> u64 {
        let rank = (u128::from(self.count()) * u128::from(millionths)).div_ceil(1_000_000) as u64;
        let mut below = 0;
        for (bucket, count) in self.histogram.iter().enumerate() {
            below += count;
            if below >= rank {
                return most_of(bucket);
            }
        }
        0
    }

    /// The longest call, nanoseconds: exactly if it was above 20 ms, to a fifth below.
    pub fn longest(&self) -> u64 {
        self.longest.max(self.quantile(1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_no_wider_than_a_quarter() {
        let mut last = 0;
        for nanoseconds in (0..100_000u64).chain((17..40).map(|octave| 1 << octave)) {
            let bucket = bucket(nanoseconds);
            assert!(bucket >= last && nanoseconds <= most_of(bucket), "{nanoseconds}");
            assert!(most_of(bucket) <= nanoseconds + nanoseconds / 4, "{nanoseconds}");
            last = bucket;
        }
    }

    #[test]
    fn a_sleep_is_the_calls_own_and_so_is_work() {
        let Some(account) = Account::of_this_thread() else { return };
        let anchor = Anchor { at: 1, account: Some(account) };
        let clock = crate::clock::Ticks::begin();
        let began = clock.nanoseconds();
        std::thread::sleep(std::time::Duration::from_millis(150));
        let latency = Latency::default();
        let took = clock.nanoseconds() - began;
        // However busy the machine is, the sleep itself is no waiting for a processor.
        assert_eq!(latency.long(Doing::Malloc, took, 0, &anchor).map(|one| one.number), Some(1));
        let large = latency.long(Doing::Malloc, took, 1 << 30, &anchor);
        assert_eq!(large, None, "a large block may take so");
        let times = CallTimes::of([&latency].into_iter());
        assert!(times.is_empty(), "nothing was counted: {times:?}");
        latency.add(Doing::Malloc, took);
        let times = CallTimes::of([&latency].into_iter());
        assert_eq!((times[0].stalls, times[0].count(), times[0].longest), (1, 1, took));
        assert!(times[0].quantile(500_000) >= took);
    }
}
