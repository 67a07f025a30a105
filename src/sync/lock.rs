//! The mutex: small, const, allocates nothing, and can be reset in a forked child (std's can't).
//!
//! # States of the word
//!
//! | word | means | left by |
//! |---|---|---|
//! | 0 | unlocked | `lock`: exchange for the thread's name, with the bit by one that has waited |
//! | a thread's name | locked by that thread, nobody waits | `unlock`: 0. Another `lock`: the bit |
//! | the same with [`WAITED`] | locked by it, somebody may wait | `unlock`: 0, and one waiter is woken |
//!
//! A locker that has had to wait takes the lock with the bit, for it can't know whether it was the
//! last one waiting. (U. Drepper, "Futexes are tricky", 2011, the second mutex.)
//!
//! # Whose it is
//!
//! The name comes with the lock, in one exchange, so that at every instant the word says who has
//! it. Two ask ([`holder`](RawLock::holder)): a forked child, whether what the lock protects is
//! whole; and a call that may have interrupted another of the same thread, in a signal handler. A
//! `lock` by the thread that has it already can never return; it says so, and ends the process.
//!
//! # Fork
//!
//! For a heap that is locked for the time of a fork, so that the child's copy is whole: between
//! `fork_prepare` and `fork_parent` or `fork_child` the forking thread has the lock. Other
//! libraries' fork handlers run in that time, in that thread, and may call the heap: the thread
//! passes through its own lock.

use super::atomic::{AtomicBool, Ordering, const_unless_loom};
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
    /// The calling thread is the child's only one, a copy of the one in `fork_prepare`; or it has
    /// found that a thread has the lock that the child does not have.
    unsafe fn fork_child(&self);

    /// Who has it. A lock that does not know says that nobody has.
    fn holder(&self) -> Holder {
        Holder::Nobody
    }
}

/// Who has a lock, as the calling thread sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Nobody.
    Nobody,
    /// The calling thread: in a fork, or a call that this one interrupted.
    Here,
    /// Another thread; in a forked child, before it repairs the lock, one that does not exist.
    Other,
}

const UNLOCKED: usize = 0;
/// The bit of the word that says: somebody may wait. Threads' names have it clear.
const WAITED: usize = 1;

/// How often a locker looks before it sleeps: about a microsecond, the length of a typical critical
/// section. Under loom once, to keep the model small.
const SPINS: u32 = if cfg!(loom) { 1 } else { 100 };

/// The futex mutex, without fault.
pub type FutexLock = FutexLockWith<0>;

/// The futex mutex. `FAULT` is 0; the other values each break one thing, for the loom models'
/// twins, which must fail: 1 releases relaxed, 2 acquires relaxed, 3 wakes nobody.
#[derive(Debug)]
pub struct FutexLockWith<const FAULT: u8> {
    futex: Futex,
    /// The thread that has it is in a fork. Relaxed throughout: it is written and read by the
    /// thread that has the lock.
    forking: AtomicBool,
}

impl<const FAULT: u8> FutexLockWith<FAULT> {
    /// Pairs with `RELEASE`: what the last holder did is seen by the next.
    const ACQUIRE: Ordering = if FAULT == 2 { Ordering::Relaxed } else { Ordering::Acquire };
    /// Pairs with `ACQUIRE`.
    const RELEASE: Ordering = if FAULT == 1 { Ordering::Relaxed } else { Ordering::Release };

    const_unless_loom! {
        /// An unlocked mutex.
        pub fn new() -> Self {
            FutexLockWith { futex: Futex::new(UNLOCKED), forking: AtomicBool::new(false) }
        }
    }

    #[cold]
    fn lock_contended(&self) {
        // Not for the models, to which each look costs, and where nothing interrupts.
        if cfg!(not(loom)) && self.holder() == Holder::Here {
            if self.forking.load(Ordering::Relaxed) {
                return; // a fork handler's call, passing through its own lock
            }
            interrupted();
        }
        for _ in 0..SPINS {
            core::hint::spin_loop();
            let word = self.futex.word.load(Ordering::Relaxed);
            if word == UNLOCKED && self.try_lock() {
                return;
            }
            if word & WAITED != 0 {
                break; // others sleep already: join them
            }
        }
        // Both exchanges look at the word as it is, and the relaxed one only adds the bit.
        let word = &self.futex.word;
        while let Err(held) = self.try_exchange(WAITED) {
            let waited = held | WAITED;
            if held == waited
                || word.compare_exchange(held, waited, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            {
                self.futex.wait(waited);
            }
        }
    }

    /// Takes the lock with `bit`, or says who has it.
    #[inline]
    fn try_exchange(&self, bit: usize) -> Result<usize, usize> {
        let word = &self.futex.word;
        word.compare_exchange(UNLOCKED, this_thread() | bit, Self::ACQUIRE, Ordering::Relaxed)
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.try_exchange(0).is_ok()
    }

    fn release(&self) {
        let word = self.futex.word.swap(UNLOCKED, Self::RELEASE);
        if word & WAITED != 0 && FAULT != 3 {
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
// of the thread before it published; only the thread that holds the lock passes through it, in a
// fork.
unsafe impl<const FAULT: u8> RawLock for FutexLockWith<FAULT> {
    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended();
        }
    }

    #[inline]
    unsafe fn unlock(&self) {
        // The caller has the lock: if somebody is forking, it is the one.
        if !self.forking.load(Ordering::Relaxed) {
            self.release();
        }
    }

    fn fork_prepare(&self) {
        self.lock();
        self.forking.store(true, Ordering::Relaxed);
    }

    unsafe fn fork_parent(&self) {
        self.forking.store(false, Ordering::Relaxed);
        self.release();
    }

    unsafe fn fork_child(&self) {
        self.forking.store(false, Ordering::Relaxed);
        // Relaxed: there is no other thread. Waiters were the parent's.
        self.futex.word.store(UNLOCKED, Ordering::Relaxed);
    }

    fn holder(&self) -> Holder {
        // Relaxed: it equals a thread's own name only if that thread wrote it; and in a forked
        // child there is no other thread.
        match self.futex.word.load(Ordering::Relaxed) & !WAITED {
            UNLOCKED => Holder::Nobody,
            name if name == this_thread() => Holder::Here,
            _ => Holder::Other,
        }
    }
}

/// A name for the calling thread that a fork does not change, even, and never 0. (`gettid` changes
/// in the child.) Under loom, where nothing forks or interrupts, it is the same for all.
#[inline]
pub fn this_thread() -> usize {
    if cfg!(loom) {
        return 2;
    }
    // SAFETY: pthread_self takes nothing and cannot fail. It is the address of a structure of the C
    // library's: a multiple of 16 at least.
    unsafe { libc::pthread_self() as usize }
}

/// Ends the process: the calling thread has the lock that it asks for, and would wait for itself.
#[cold]
fn interrupted() -> ! {
    crate::process::stderr::say(format_args!(
        "a signal handler has called the allocator, of which it had interrupted a call of the same \
         thread: malloc and free are not async-signal-safe"
    ));
    // SAFETY: abort takes nothing and does not return.
    unsafe { libc::abort() }
}
