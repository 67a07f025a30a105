//! Schedules: yields and short sleeps at random, around operations and, where a heap has a probe, inside it.
//!
//! A thread that is stopped between a check and the store that relies on it is what races are made of, and by
//! chance it seldom happens. How often it happens here is set for the run ([`Rates`]), and where it happens is
//! drawn from the run's seed, thread by thread.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use drystone_workloads::mixed::splitmix;

use crate::spec::Rates;

/// Of the disturbances one in so many is a sleep; the others are yields.
const SLEEPS_ONE_IN: u64 = 32;
/// The longest sleep, in microseconds.
const LONGEST: u64 = 100;

thread_local! {
    // No destructors and constant starts: a heap's code may run in any thread at any time.
    static RATES: Cell<Rates> = const { Cell::new(Rates::DEFAULT) };
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Sets what the calling thread will be disturbed by; `stream` tells its choices from other threads'.
pub fn begin(rates: Rates, seed: u64, stream: u64) {
    let mut state = seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03);
    splitmix(&mut state);
    STATE.set(state);
    RATES.set(rates);
}

/// Raises how often the calling thread is disturbed inside a heap to once in `pauses`, unless that is off.
pub fn often(pauses: u32) {
    let rates = RATES.get();
    if rates.pauses != 0 {
        RATES.set(Rates { pauses: rates.pauses.min(pauses), ..rates });
    }
}

/// What the calling thread is disturbed by, for a thread that it starts.
pub fn rates() -> Rates {
    RATES.get()
}

/// An operation is about to begin.
#[inline]
pub fn at_operation() {
    act(RATES.get().operations);
}

/// Another thread could interfere here.
#[inline]
pub fn at_pause() {
    act(RATES.get().pauses);
}

#[inline]
fn act(one_in: u32) {
    if one_in == 0 {
        return;
    }
    let mut state = STATE.get();
    let word = splitmix(&mut state);
    STATE.set(state);
    if (word >> 32).is_multiple_of(u64::from(one_in)) {
        disturb(word & u64::from(u32::MAX));
    }
}

#[cold]
fn disturb(word: u64) {
    // Neither may show in `errno`, which the checker looks at.
    drystone::errno::kept(|| match word % SLEEPS_ONE_IN {
        0 => thread::sleep(Duration::from_micros(1 + word / SLEEPS_ONE_IN % LONGEST)),
        _ => thread::yield_now(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 10,000 calls drew a disturbance, told by the state alone.
    fn hits(one_in: u32, seed: u64) -> Vec<usize> {
        thread::spawn(move || {
            begin(Rates::one_in(one_in), seed, 3);
            let hit = |call: usize| {
                let mut state = STATE.get();
                at_operation();
                let hit =
                    one_in != 0 && (splitmix(&mut state) >> 32).is_multiple_of(u64::from(one_in));
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
    }
}
