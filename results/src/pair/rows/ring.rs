//! Rings: a fixed number of live blocks; each operation frees one and allocates another.

use std::ffi::c_void;
use std::hint::black_box;

use drystone_workloads::calls::Calls;

use super::super::clock::{Spent, Whose, time};
use super::load::{Load, touched};
use super::pattern::{PATTERN, STEPS, Step};

/// `LIVE` live blocks, a power of two.
pub fn make<const LIVE: usize>(calls: Calls) -> Box<dyn Load> {
    Box::new(Ring::<LIVE>::new(calls))
}

/// A ring of `LIVE` blocks.
pub struct Ring<const LIVE: usize> {
    calls: Calls,
    blocks: Vec<*mut c_void>,
    at: usize,
}

impl<const LIVE: usize> Ring<LIVE> {
    /// A full ring.
    pub fn new(calls: Calls) -> Self {
        const { assert!(LIVE.is_power_of_two()) };
        let size = |at: usize| PATTERN[at * 7 % STEPS].size as usize;
        // SAFETY: malloc may be called with any size.
        let blocks = (0..LIVE).map(|at| touched(unsafe { (calls.malloc)(size(at)) })).collect();
        Self { calls, blocks, at: 0 }
    }

    /// The next `n` steps, each given the block to free and the size to ask for; `step` returns the
    /// new block.
    #[inline(always)]
    pub fn steps(
        &mut self,
        n: u64,
        mut step: impl FnMut(Calls, *mut c_void, usize) -> *mut c_void,
    ) {
        let calls = black_box(self.calls);
        let pattern = &PATTERN[..];
        for _ in 0..n {
            let Step { slot, size } = pattern[self.at % STEPS];
            let place = &mut self.blocks[slot as usize % LIVE];
            *place = step(calls, *place, size as usize);
            self.at += 1;
        }
    }
}

impl<const LIVE: usize> Load for Ring<LIVE> {
    fn run(&mut self, n: u64) -> Spent {
        time(Whose::Thread, n, || {
            self.steps(n, |calls, old, size| {
                // SAFETY: `old` is live: the step before put it there, and each is freed here once.
                unsafe { (calls.free)(old) };
                // SAFETY: malloc may be called with any size.
                touched(unsafe { (calls.malloc)(size) })
            });
        })
    }
}

impl<const LIVE: usize> Drop for Ring<LIVE> {
    fn drop(&mut self) {
        for block in self.blocks.drain(..) {
            // SAFETY: every block in the ring is live, and leaves it here.
            unsafe { (self.calls.free)(block) };
        }
    }
}
