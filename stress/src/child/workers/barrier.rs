//! A barrier that lets everybody go at nearly the same instant.
//!
//! std's barrier sleeps, and its threads come back microseconds apart: two frees of fifty
//! nanoseconds would never meet. Here the waiting spin, and yield now and then, since there may be
//! more of them than cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::{hint, thread};

use crossbeam::utils::CachePadded;

/// A reusable barrier for a fixed number of threads.
#[derive(Debug)]
pub struct SpinBarrier {
    threads: usize,
    arrived: CachePadded<AtomicUsize>,
    /// How often the barrier has opened.
    opened: CachePadded<AtomicUsize>,
}

/// Turns of spinning before the core is given to another thread: a few microseconds. With more
/// threads than cores those who are waited for need the core.
const SPINS: usize = 64;

impl SpinBarrier {
    /// A barrier that opens when `threads` threads wait at it.
    pub fn new(threads: usize) -> Self {
        Self { threads, arrived: CachePadded::default(), opened: CachePadded::default() }
    }

    /// Waits until all threads are here.
    pub fn wait(&self) {
        // Relaxed: it can't change before this thread has arrived.
        let opened = self.opened.load(Ordering::Relaxed);
        // AcqRel: the last to arrive sees what all others wrote before they came, and hands it on
        // through `opened`.
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            // Relaxed: published by the store below, before anyone can arrive again.
            self.arrived.store(0, Ordering::Relaxed);
            // Release: pairs with the acquire of those who wait.
            self.opened.store(opened.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut turns = 0;
        // Acquire: pairs with the release of the last to arrive.
        while self.opened.load(Ordering::Acquire) == opened {
            turns += 1;
            if turns % SPINS == 0 {
                thread::yield_now();
            } else {
                hint::spin_loop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_passes_before_the_last_arrives() {
        const THREADS: usize = 4;
        let barrier = SpinBarrier::new(THREADS);
        let arrived = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for round in 1..=500 {
                        arrived.fetch_add(1, Ordering::Relaxed);
                        barrier.wait();
                        assert_eq!(arrived.load(Ordering::Relaxed), round * THREADS);
                        barrier.wait();
                    }
                });
            }
        });
    }
}
