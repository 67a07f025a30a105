//! Rows without state: one block at a time.

use std::hint::black_box;

use drystone_workloads::calls::Calls;

use super::super::clock::{Spent, Whose, time};
use super::load::{Load, touched};

/// Work that leaves nothing behind.
struct Stateless {
    calls: Calls,
    run: fn(Calls, u64),
}

impl Load for Stateless {
    fn run(&mut self, n: u64) -> Spent {
        // Opaque, so that the pointers are read at run time.
        let calls = black_box(self.calls);
        time(Whose::Thread, n, || (self.run)(calls, n))
    }
}

/// malloc and free of `SIZE` bytes.
pub fn pair<const SIZE: usize>(calls: Calls) -> Box<dyn Load> {
    fn run<const SIZE: usize>(calls: Calls, n: u64) {
        for _ in 0..n {
            // SAFETY: malloc may be called with any size; the block is live until this one free.
            unsafe { (calls.free)(touched((calls.malloc)(SIZE))) };
        }
    }
    Box::new(Stateless { calls, run: run::<SIZE> })
}

/// calloc and free of 64 KiB.
pub fn calloc(calls: Calls) -> Box<dyn Load> {
    fn run(calls: Calls, n: u64) {
        for _ in 0..n {
            // SAFETY: calloc may be called with any numbers; the block is live until this one free.
            unsafe { (calls.free)(touched((calls.calloc)(1, 65_536))) };
        }
    }
    Box::new(Stateless { calls, run })
}

/// A block that grows from 16 bytes to 1 KiB by doubling.
pub fn realloc(calls: Calls) -> Box<dyn Load> {
    fn run(calls: Calls, n: u64) {
        for _ in 0..n {
            // SAFETY: malloc may be called with any size.
            let mut block = touched(unsafe { (calls.malloc)(16) });
            for doublings in 1..=6 {
                // SAFETY: `block` is live: the last call returned it, and did not fail
                // (`touched`).
                block = touched(unsafe { (calls.realloc)(block, 16 << doublings) });
            }
            // SAFETY: `block` is live: the last call returned it; this is its one free.
            unsafe { (calls.free)(block) };
        }
    }
    Box::new(Stateless { calls, run })
}
