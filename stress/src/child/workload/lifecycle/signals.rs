//! Signals without end: a thread sends SIGUSR1 to each life, so often that it is interrupted
//! everywhere.
//!
//! The handler counts and calls nothing. It is installed without `SA_RESTART`, so that every call
//! to the OS that can be interrupted returns `EINTR`.

use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const SIGNAL: i32 = libc::SIGUSR1;

/// Signals that have come. Relaxed: a figure.
static CAME: AtomicU64 = AtomicU64::new(0);

/// Sends signals to each worker's thread.
pub(super) struct SignalSender {
    /// Each worker's thread by its number, 0 while it has none. Relaxed: a number that is stale
    /// interrupts nobody, or another thread of this process, all of which bear it.
    threads: Vec<AtomicI32>,
}

/// A thread is interrupted as long as this lives.
pub(super) struct Interrupted<'s>(&'s AtomicI32);

impl Drop for Interrupted<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

extern "C" fn count(_signal: i32) {
    CAME.fetch_add(1, Ordering::Relaxed);
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: all zero is a valid sigaction, without SA_RESTART; the handler has the signature
        // that goes with no SA_SIGINFO, and makes one atomic addition.
        let installed = unsafe {
            let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
            action.sa_sigaction = count as extern "C" fn(i32) as usize;
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigaction(SIGNAL, &raw const action, null_mut())
        };
        assert_eq!(installed, 0, "SIGUSR1 can be handled");
    });
}

impl SignalSender {
    /// A sender for so many workers.
    pub(super) fn new(workers: usize) -> Self {
        Self { threads: (0..workers).map(|_| AtomicI32::new(0)).collect() }
    }

    /// Has the calling thread be interrupted in the place of its worker.
    pub(super) fn interrupt_this_thread(&self, worker: usize) -> Interrupted<'_> {
        // SAFETY: gettid takes nothing and cannot fail.
        let number = unsafe { libc::gettid() };
        self.threads[worker].store(number, Ordering::Relaxed);
        Interrupted(&self.threads[worker])
    }

    /// Sends while `work` lasts, `a_second` signals to each thread; how many came.
    pub(super) fn around(&self, a_second: u64, work: impl FnOnce()) -> u64 {
        if a_second == 0 {
            work();
            return 0;
        }
        install();
        let before = CAME.load(Ordering::Relaxed);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| self.send(Duration::from_micros(1_000_000 / a_second), &over));
            work();
            over.store(true, Ordering::Relaxed);
        });
        CAME.load(Ordering::Relaxed) - before
    }

    fn send(&self, pause: Duration, over: &AtomicBool) {
        let process = std::process::id();
        while !over.load(Ordering::Relaxed) {
            for thread in &self.threads {
                let number = thread.load(Ordering::Relaxed);
                if number != 0 {
                    // SAFETY: sends a signal that this process handles to a thread of this process;
                    // that one which has ended is not there is an answer, and fine.
                    unsafe { libc::syscall(libc::SYS_tgkill, process, number, SIGNAL) };
                }
            }
            thread::sleep(pause);
        }
    }
}

/// Calls `f` without being interrupted: a fork that is interrupted is begun anew by the kernel,
/// again and again if it takes longer than a signal is away.
pub(super) fn sheltered<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: all zero is a valid set, and a place for one; the signal's number is valid, and the
    // calls change the calling thread's mask alone.
    unsafe {
        let (mut signal, mut before): (libc::sigset_t, libc::sigset_t) =
            (MaybeUninit::zeroed().assume_init(), MaybeUninit::zeroed().assume_init());
        libc::sigemptyset(&raw mut signal);
        libc::sigaddset(&raw mut signal, SIGNAL);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signal, &raw mut before);
        let result = f();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, null_mut());
        result
    }
}
