//! A bounded queue of blocks from one thread to one other: the cheapest there is, because what is
//! measured is the allocator, and not the queue.
//!
//! ```text
//!            taken            put
//!              ▼               ▼
//! slots  . . . b b b b b b b b . . . .        both only grow; a slot's number is that modulo BLOCKS
//! ```
//!
//! The producer alone advances `put`, the consumer alone `taken`, each once per batch: that is one
//! cache line's way between the cores per batch and direction, beside the slots' own.

use std::hint;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::thread;

/// How many blocks fit in the queue, so at most so many are under way. A power of two.
pub const BLOCKS: usize = 1024;

/// How often a full or empty queue is looked at again before the processor is yielded: a partner
/// that runs answers sooner, and one that does not run needs the processor.
const SPINS: u32 = 100;

/// On cache lines of its own; 128 bytes, because processors fetch lines in pairs.
#[repr(align(128))]
#[derive(Debug)]
struct Counter(AtomicUsize);

/// A bounded queue of block addresses for one producer and one consumer.
#[derive(Debug)]
pub struct BoundedQueue {
    slots: Box<[AtomicPtr<u8>]>,
    put: Counter,
    taken: Counter,
}

impl Default for BoundedQueue {
    fn default() -> BoundedQueue {
        BoundedQueue::new()
    }
}

impl BoundedQueue {
    /// An empty one.
    pub fn new() -> BoundedQueue {
        BoundedQueue {
            slots: (0..BLOCKS).map(|_| AtomicPtr::default()).collect(),
            put: Counter(AtomicUsize::new(0)),
            taken: Counter(AtomicUsize::new(0)),
        }
    }

    /// Puts `batch` blocks on, each from `make`, as soon as there is room for all of them. For the
    /// producer; `batch` is at most [`BLOCKS`].
    pub fn put(&self, batch: usize, mut make: impl FnMut() -> *mut u8) {
        // Relaxed: nobody else stores it.
        let put = self.put.0.load(Ordering::Relaxed);
        // Acquire pairs with the consumer's release in `take`: its loads of these slots came
        // before.
        wait_until(|| BLOCKS - (put - self.taken.0.load(Ordering::Acquire)) >= batch);
        for number in put..put + batch {
            // Relaxed: published by the release below.
            self.slots[number % BLOCKS].store(make(), Ordering::Relaxed);
        }
        // Release pairs with the consumer's acquire in `take`: it sees the slots, and the blocks'
        // bytes.
        self.put.0.store(put + batch, Ordering::Release);
    }

    /// Takes `batch` blocks off as soon as there are that many, each handed to `end`. For the
    /// consumer.
    pub fn take(&self, batch: usize, mut end: impl FnMut(*mut u8)) {
        // Relaxed: nobody else stores it.
        let taken = self.taken.0.load(Ordering::Relaxed);
        // Acquire pairs with the producer's release in `put`.
        wait_until(|| self.put.0.load(Ordering::Acquire) - taken >= batch);
        for number in taken..taken + batch {
            // Relaxed: ordered by the acquire above.
            end(self.slots[number % BLOCKS].load(Ordering::Relaxed));
        }
        // Release pairs with the producer's acquire in `put`: the slots may be written to again.
        self.taken.0.store(taken + batch, Ordering::Release);
    }
}

fn wait_until(ready: impl Fn() -> bool) {
    let mut spins = 0;
    while !ready() {
        if spins < SPINS {
            spins += 1;
            hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
}
