//! The mutex: small, const, allocates nothing, and can be reset in a forked child (std's can't).
//!
//! # States of the word
//!
//! | word | means | left by |
//! |---|---|---|
//! | 0 | unlocked | `lock`: exchange for 1, or for 2 by one that has waited |
//! | 1 | locked, nobody waits | `unlock`: 0. Another `lock`: 2 |
//! | 2 | locked, somebody may wait | `unlock`: 0, and one waiter is woken |
//!
//! A locker that has had to wait takes the lock with 2, for it can't know whether it was the last
//! one waiting. (U. Drepper, "Futexes are tricky", 2011, the second mutex.)
//!
//! # Fork
//!
//! Between `fork_prepare` and `fork_parent` or `fork_child` the lock is held by the forking thread,
//! so that the child's copy of the heap is whole. Other libraries' fork handlers run in that time,
//! in that thread, and may call the heap: `owner` lets the thread pass through its own lock.

use super::atomic::{AtomicUsize, Ordering, const_unless_loom};
use super::futex::Futex;

/// Mutual exclusion for a heap's state.
///
/// # Safety
/// Between a return of `lock` and the following `unlock` no other thread returns from `lock`, and
/// what was written before `unlock` is seen after the next `lock`. Excepted is the thread inside a
/// fork, which may lock again.
pub unsafe trait RawLock {
    /// Waits for the lock and takes it.
    fn lock(&self);

    /// Releases the lock.
    ///
    /// # Safety
    /// The calling thread has it.
    unsafe fn unlock(&self);

    /// Takes the lock for the time of a fork: `pthread_atfork`'s prepare handler. Once per fork.
    fn fork_prepare(&self);

    /// Releases it in the parent.
    ///
    /// # Safety
    /// The calling thread has come from `fork_prepare`.
    unsafe fn fork_parent(&self);

    /// Makes it new in the child, where no other thread exists.
    ///
    /// # Safety
    /// The calling thread is the child's only one, a copy of the one in `fork_prepare`.
    unsafe fn fork_child(&self);
}

const UNLOCKED: u32 = 0;
const LOCKED: u32 = 1;
const CONTENDED: u32 = 2;

/// How often a locker looks before it sleeps: about a microsecond, the length of a typical critical
/// section. Under loom once, to keep the model small.
const SPINS: u32 = if cfg!(loom) { 1 } else { 100 };

/// Nobody is forking.
const NOBODY: usize = 0;

/// The futex mutex, without fault.
pub type FutexLock = FutexLockWith<0>;

/// The futex mutex. `FAULT` is 0; the other values each break one thing, for the loom models'
/// twins, which must fail: 1 releases relaxed, 2 acquires relaxed, 3 wakes nobody.
#[derive(Debug)]
pub struct FutexLockWith<const FAULT: u8> {
    futex: Futex,
    /// The thread in a fork, by [`this_thread`], else [`NOBODY`]. Relaxed throughout: it is written
    /// only with the lock held, and equals a thread's own name only if that thread wrote it.
    owner: AtomicUsize,
}

impl<const FAULT: u8> FutexLockWith<FAULT> {
    /// Pairs with `RELEASE`: what the last holder did is seen by the next.
    const ACQUIRE: Ordering = if FAULT == 2 { Ordering::Relaxed } else { Ordering::Acquire };
    /// Pairs with `ACQUIRE`.
    const RELEASE: Ordering = if FAULT == 1 { Ordering::Relaxed } else { Ordering::Release };

    const_unless_loom! {
        /// An unlocked mutex.
        pub fn new() -> Self {
            FutexLockWith { futex: Futex::new(UNLOCKED), owner: AtomicUsize::new(NOBODY) }
        }
    }

    #[cold]
    fn lock_contended(&self) {
        if self.owner.load(Ordering::Relaxed) == this_thread() {
            return; // a fork handler's call, passing through its own lock
        }
        for _ in 0..SPINS {
            core::hint::spin_loop();
            let word = self.futex.word.load(Ordering::Relaxed);
            if word == UNLOCKED && self.try_lock() {
                return;
            }
            if word == CONTENDED {
                break; // others sleep already: join them
            }
        }
        while self.futex.word.swap(CONTENDED, Self::ACQUIRE) != UNLOCKED {
            self.futex.wait(CONTENDED);
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        let word = &self.futex.word;
        word.compare_exchange(UNLOCKED, LOCKED, Self::ACQUIRE, Ordering::Relaxed).is_ok()
    }

    fn release(&self) {
        if self.futex.word.swap(UNLOCKED, Self::RELEASE) == CONTENDED && FAULT != 3 {
            self.futex.wake_one();
        }
    }
}

impl<const FAULT: u8> Default for FutexLockWith<FAULT> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: the word leaves UNLOCKED by one thread's exchange only, which acquires what the release
// of the thread before it published; `owner` lets through only the thread that holds the lock.
unsafe impl<const FAULT: u8> RawLock for FutexLockWith<FAULT> {
    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended();
        }
    }

    #[inline]
    unsafe fn unlock(&self) {
        // Somebody is forking and the caller has the lock: the caller is the one that forks.
        if self.owner.load(Ordering::Relaxed) == NOBODY {
            self.release();
        }
    }

    fn fork_prepare(&self) {
        self.lock();
        self.owner.store(this_thread(), Ordering::Relaxed);
    }

    unsafe fn fork_parent(&self) {
        self.owner.store(NOBODY, Ordering::Relaxed);
        self.release();
    }

    unsafe fn fork_child(&self) {
        self.owner.store(NOBODY, Ordering::Relaxed);
        // Relaxed: there is no other thread. Waiters were the parent's.
        self.futex.word.store(UNLOCKED, Ordering::Relaxed);
    }
}

/// A name for the calling thread that a fork does not change, never [`NOBODY`]. (`gettid` changes
/// in the child.) Under loom, where nothing forks, it is nobody's.
fn this_thread() -> usize {
    if cfg!(loom) {
        return usize::MAX;
    }
    // SAFETY: pthread_self takes nothing and cannot fail.
    unsafe { libc::pthread_self() as usize }
}
