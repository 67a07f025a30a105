//! A word that threads can wait on: Linux's futex(2), or under loom a model of it that loses no
//! wake-up unless the lock above does.

use super::atomic::{AtomicU32, const_unless_loom};

/// A 32-bit word and its waiters.
#[derive(Debug)]
pub struct Futex {
    /// The word.
    pub(super) word: AtomicU32,
    /// The kernel's queue. A waiter compares the word under the queue's lock, as the kernel does.
    #[cfg(loom)]
    queue: (loom::sync::Mutex<()>, loom::sync::Condvar),
}

impl Futex {
    const_unless_loom! {
        /// A futex whose word is `value`.
        pub fn new(value: u32) -> Futex {
            Futex {
                word: AtomicU32::new(value),
                #[cfg(loom)]
                queue: (loom::sync::Mutex::new(()), loom::sync::Condvar::new()),
            }
        }
    }

    /// Sleeps until woken, unless the word is no longer `expected`. May return for no reason.
    #[cfg(not(loom))]
    pub fn wait(&self, expected: u32) {
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the word outlives the call; a null timeout waits without bound. Every result
        // (woken, EAGAIN, EINTR) means the same to the caller: look again.
        crate::errno::kept(|| unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                operation,
                expected,
                core::ptr::null::<libc::timespec>(),
            )
        });
    }

    /// Wakes one waiter, if there is one.
    #[cfg(not(loom))]
    pub fn wake_one(&self) {
        let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: only the word's address is used, and it is valid here. The number of the woken is
        // of no interest.
        crate::errno::kept(|| unsafe {
            libc::syscall(libc::SYS_futex, self.word.as_ptr(), operation, 1)
        });
    }

    /// As above, modelled.
    #[cfg(loom)]
    pub fn wait(&self, expected: u32) {
        let queue = self.queue.0.lock().unwrap();
        if self.word.load(super::atomic::Ordering::Relaxed) == expected {
            drop(self.queue.1.wait(queue).unwrap());
        }
    }

    /// As above, modelled.
    #[cfg(loom)]
    pub fn wake_one(&self) {
        let _queue = self.queue.0.lock().unwrap();
        self.queue.1.notify_one();
    }
}
