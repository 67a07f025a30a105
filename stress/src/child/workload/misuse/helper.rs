//! The second thread of a double free.
//!
//! It is there beforehand, and it and whoever asks it wait for each other without a call that could
//! allocate: under a preloaded allocator, to start a thread and to wait in a channel for the first
//! time both allocate of the allocator, which would reuse the block between its two frees.
//!
//! | `state` | means | left by |
//! |---|---|---|
//! | `IDLE` | nothing is asked | who asks, one at a time: `ASKED`, `AT_ONCE`; who ends it: `OVER` |
//! | `ASKED` | the block at `address` is to be freed | the helper: `DONE` |
//! | `AT_ONCE` | as before, when both are ready | the helper: `DONE` |
//! | `DONE` | `answer` is what it came to | who has asked: `IDLE` |
//! | `OVER` | it ends | |

use std::ffi::c_void;
use std::ptr::with_exposed_provenance_mut;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};

use crate::allocators::process::OpenAllocator;
use crate::child::workers::barrier::SpinBarrier;
use crate::child::workload::misuse::answer::{Answer, free};

const IDLE: u32 = 0;
const ASKED: u32 = 1;
const AT_ONCE: u32 = 2;
const DONE: u32 = 3;
const OVER: u32 = 4;

/// What is shared with it.
pub(super) struct Helper {
    state: AtomicU32,
    address: AtomicUsize,
    answer: Mutex<Answer>,
    both: SpinBarrier,
}

impl Helper {
    /// One that nobody has asked yet.
    pub(super) fn new() -> Self {
        Self {
            state: AtomicU32::new(IDLE),
            address: AtomicUsize::new(0),
            answer: Mutex::new(Ok(())),
            both: SpinBarrier::new(2),
        }
    }

    /// The helper's part: frees what it is asked to, until it is over.
    pub(super) fn help(&self, allocator: &OpenAllocator) {
        loop {
            // Acquire: pairs with the release of who asks.
            match self.state.load(Ordering::Acquire) {
                OVER => return,
                asked @ (ASKED | AT_ONCE) => {
                    // Relaxed: published with the state.
                    let block = with_exposed_provenance_mut(self.address.load(Ordering::Relaxed));
                    if asked == AT_ONCE {
                        self.both.wait();
                    }
                    // SAFETY: the mistakes are what the workload is for.
                    let answer = unsafe { free(allocator, block) };
                    *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
                    // Release: pairs with the acquire of who has asked.
                    self.state.store(DONE, Ordering::Release);
                }
                // Woken by who asks, and for nothing by a stale wake-up.
                _ => thread::park(),
            }
        }
    }

    /// Has the helper, which is `thread`, free the block. By one who is alone.
    pub(super) fn free(&self, thread: &Thread, block: *mut c_void) -> Answer {
        self.ask(thread, block, ASKED);
        self.answered()
    }

    /// Has it free the block, and calls `own` at once.
    pub(super) fn free_at_once(
        &self,
        thread: &Thread,
        block: *mut c_void,
        own: impl FnOnce() -> Answer,
    ) -> [Answer; 2] {
        self.ask(thread, block, AT_ONCE);
        self.both.wait();
        [own(), self.answered()]
    }

    /// Ends it.
    pub(super) fn end(&self, thread: &Thread) {
        self.state.store(OVER, Ordering::Release);
        thread.unpark();
    }

    fn ask(&self, thread: &Thread, block: *mut c_void, how: u32) {
        // Relaxed: published by the store below.
        self.address.store(block.expose_provenance(), Ordering::Relaxed);
        // Release: pairs with the acquire in `help`.
        self.state.store(how, Ordering::Release);
        thread.unpark();
    }

    fn answered(&self) -> Answer {
        // Acquire: pairs with the release in `help`.
        while self.state.load(Ordering::Acquire) != DONE {
            thread::yield_now();
        }
        // Relaxed: who asks next has been alone after this one, by a lock.
        self.state.store(IDLE, Ordering::Relaxed);
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
