//! A word that threads can wait on: Linux's futex(2), or under loom a model of it that loses no
//! wake-up unless the lock above does.

use super::atomic::{AtomicUsize, const_unless_loom};

/// A word and its waiters. The kernel compares its low half, which stands at its address: a waiter
/// may sleep on where only the high half differs, so the change that it waits for must change the
/// low half too.
#[derive(Debug)]
pub struct Futex {
    /// The word.
    pub(super) word: AtomicUsize,
    /// The kernel's queue. A waiter compares the word under the queue's lock, as the kernel does.
    #[cfg(loom)]
    queue: (loom::sync::Mutex<()>, loom::sync::Condvar),
}

const _: () = assert!(cfg!(target_endian = "little"), "the low half is at the word's address");

impl Futex {
    const_unless_loom! {
        /// A futex whose word is `value`.
        pub fn new(value: usize) -> Futex {
            Futex {
                word: AtomicUsize::new(value),
                #[cfg(loom)]
                queue: (loom::sync::Mutex::new(()), loom::sync::Condvar::new()),
            }
        }
    }

    /// Sleeps until woken, unless the word is no longer `expected`. May return for no reason.
    #[cfg(not(loom))]
    pub fn wait(&self, expected: usize) {
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the word outlives the call; a null timeout waits without bound. Every result
        // (woken, EAGAIN, EINTR) means the same to the caller: look again.
        crate::errno::kept(|| unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                operation,
                expected as u32,
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
    pub fn wait(&self, expected: usize) {
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
