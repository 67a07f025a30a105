//! The mutex excludes, orders and wakes.

use std::sync::Arc;

use drystone::internals::sync::{Cell, FutexLockWith};
use drystone::internals::{FutexLock, RawLock};
use loom::thread;

use crate::explore::{explore, must_fail};

/// A value behind a lock, as a heap's state is.
struct Guarded<L> {
    lock: L,
    value: Cell<usize>,
}

// SAFETY: the value is touched between lock and unlock only; that this suffices is what is
// explored.
unsafe impl<L: RawLock> Sync for Guarded<L> {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl<L: RawLock> Send for Guarded<L> {}

impl<L: RawLock> Guarded<L> {
    fn add(&self, times: usize) {
        for _ in 0..times {
            self.add_one();
        }
    }

    fn add_one(&self) -> usize {
        self.lock.lock();
        // SAFETY: locked; loom fails the model where that is not enough.
        let value = unsafe {
            self.value.with(|value| {
                *value += 1;
                *value
            })
        };
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        value
    }
}

fn count_with<L: RawLock + 'static>(lock: fn() -> L, threads: usize, rounds: usize) {
    let guarded = Arc::new(Guarded { lock: lock(), value: Cell::new(0) });
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let guarded = guarded.clone();
            thread::spawn(move || guarded.add(rounds))
        })
        .collect();
    guarded.add(rounds);
    others.into_iter().for_each(|other| other.join().unwrap());
    assert_eq!(guarded.add_one(), threads * rounds + 1);
}

#[test]
fn the_mutex_excludes_two_threads() {
    explore(None, || count_with(FutexLock::new, 2, 2));
}

#[test]
fn the_mutex_excludes_three_threads_and_wakes_them() {
    explore(Some(2), || count_with(FutexLock::new, 3, 1));
}

#[test]
fn a_mutex_that_releases_or_acquires_relaxed_fails() {
    must_fail("release relaxed", || count_with(FutexLockWith::<1>::new, 2, 1));
    must_fail("acquire relaxed", || count_with(FutexLockWith::<2>::new, 2, 1));
}

#[test]
fn a_mutex_that_wakes_nobody_fails() {
    must_fail("no wake-up", || count_with(FutexLockWith::<3>::new, 2, 1));
}
