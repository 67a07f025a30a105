//! Schedules: yields and short sleeps at random, around operations and, where a heap has a probe,
//! inside it.
//!
//! A thread that is stopped between a check and the store that relies on it is what races are made
//! of, and by chance it seldom happens. How often it happens here is set for the run ([`Rates`]),
//! and where it happens is drawn from the run's seed, thread by thread.

use std::cell::Cell;
use std::thread::{self, LocalKey};
use std::time::Duration;

use drystone_workloads::errno;
use drystone_workloads::splitmix::splitmix;
use serde::{Deserialize, Serialize};

/// How often a thread is disturbed: once in so many, 0 for never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Before an operation.
    pub operations: u32,
    /// At a place inside the heap where another thread could interfere.
    pub pauses: u32,
}

impl Rates {
    /// Often enough to matter in seconds, seldom enough to leave the speed.
    pub const DEFAULT: Rates = Rates { operations: 4096, pauses: 512 };

    /// The rates that one number asks for.
    pub fn one_in(number: u32) -> Rates {
        Rates { operations: number, pauses: number }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Of the disturbances one in so many is a sleep; the others are yields.
const SLEEPS_ONE_IN: u64 = 32;
/// The longest sleep, in microseconds.
const LONGEST: u64 = 100;

thread_local! {
    // No destructors and constant starts: a heap's code may run in any thread at any time.
    static RATES: Cell<Rates> = const { Cell::new(Rates::DEFAULT) };
    static STATE: Cell<u64> = const { Cell::new(0) };
    /// How many operations until one is disturbed, that one included; 0: none ever.
    static OPERATIONS: Cell<u64> = const { Cell::new(Rates::DEFAULT.operations as u64) };
    /// The same of places inside heaps.
    static PAUSES: Cell<u64> = const { Cell::new(Rates::DEFAULT.pauses as u64) };
}

/// Sets what the calling thread will be disturbed by; `stream` tells its choices from other
/// threads'.
pub fn begin(rates: Rates, seed: u64, stream: u64) {
    let mut state = seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03);
    splitmix(&mut state);
    STATE.set(state);
    RATES.set(rates);
    OPERATIONS.set(gap(rates.operations));
    PAUSES.set(gap(rates.pauses));
}

/// Raises how often the calling thread is disturbed inside a heap to once in `pauses`, unless that
/// is off.
pub fn often(pauses: u32) {
    let rates = RATES.get();
    if rates.pauses > pauses {
        RATES.set(Rates { pauses, ..rates });
        PAUSES.set(gap(pauses));
    }
}

/// What the calling thread is disturbed by, for a thread that it starts.
pub fn rates() -> Rates {
    RATES.get()
}

/// An operation is about to begin.
#[inline]
pub fn at_operation() {
    if is_due(&OPERATIONS) {
        OPERATIONS.set(gap(RATES.get().operations));
        disturb();
    }
}

/// Another thread could interfere here.
#[inline]
pub fn at_pause() {
    if is_due(&PAUSES) {
        PAUSES.set(gap(RATES.get().pauses));
        disturb();
    }
}

#[inline]
fn is_due(left: &'static LocalKey<Cell<u64>>) -> bool {
    let now = left.get();
    left.set(now.saturating_sub(1));
    now == 1
}

/// How many until the next, from 1 to twice the mean: one draw for each disturbance, and none for
/// what is not disturbed.
fn gap(one_in: u32) -> u64 {
    match u64::from(one_in) {
        0 => 0,
        mean => 1 + draw() % (2 * mean - 1),
    }
}

fn draw() -> u64 {
    let mut state = STATE.get();
    let word = splitmix(&mut state);
    STATE.set(state);
    word >> 32
}

#[cold]
fn disturb() {
    let word = draw();
    // Neither may show in `errno`, which the checker looks at.
    errno::kept(|| match word % SLEEPS_ONE_IN {
        0 => thread::sleep(Duration::from_micros(1 + word / SLEEPS_ONE_IN % LONGEST)),
        _ => thread::yield_now(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of 10,000 operations were disturbed.
    fn hits(one_in: u32, seed: u64) -> Vec<usize> {
        thread::spawn(move || {
            begin(Rates::one_in(one_in), seed, 3);
            let hit = |call: usize| {
                let hit = OPERATIONS.get() == 1;
                at_operation();
                hit.then_some(call)
            };
            (0..10_000).filter_map(hit).collect()
        })
        .join()
        .unwrap()
    }

    #[test]
    fn a_seed_fixes_where_a_thread_is_disturbed() {
        assert_eq!(hits(100, 7), hits(100, 7));
        assert_ne!(hits(100, 7), hits(100, 8));
        let count = hits(100, 7).len();
        assert!((60..150).contains(&count), "{count} of 10,000 at one in 100");
        assert_eq!(hits(0, 7), [0; 0]);
        assert_eq!(hits(1, 7).len(), 10_000);
    }
}
