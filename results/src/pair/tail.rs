//! Slow calls: each malloc and free of a ring timed by itself, in slices that take turns. Slices
//! with a context switch count nothing: what is slow there is the kernel's doing.

use std::time::{Duration, Instant};

use drystone_workloads::calls::Calls;
use rand::{Rng, RngExt};

use super::rows::ring::Ring;
use crate::evidence::{Tail, Tails};

/// Frees and mallocs of a slice: 2,000 calls, about 100 µs, in which an interrupt is rare.
const OPERATIONS: u64 = 1_000;

/// The most slow calls that a slice counts. Interrupts come in storms, and one storm would outweigh
/// a thousand slices; slow calls of an allocator's own are spread over them.
const MOST: u64 = 8;

/// Counts both sides' slow calls in rings of `LIVE` blocks, in so many slices a side.
pub fn count<const LIVE: usize>(calls: [Calls; 2], slices: u32, random: &mut impl Rng) -> Tails {
    let ticks_per_us = ticks_per_us();
    let mut rings = calls.map(Ring::<LIVE>::new);
    let mut tails = [Tail::default(); 2];
    for slice in 0..slices {
        let first = usize::from(random.random::<bool>());
        for side in [first, 1 - first] {
            let (tail, switched) = one(&mut rings[side], ticks_per_us);
            // The first tenth warms up.
            if !switched && slice >= slices / 10 {
                add(&mut tails[side], tail);
            }
        }
    }
    let [a, b] = tails;
    Tails { a, b }
}

fn add(to: &mut Tail, tail: Tail) {
    to.calls += tail.calls;
    to.over_1us += tail.over_1us.min(MOST);
    to.over_10us += tail.over_10us.min(MOST);
    to.slowest_ns = to.slowest_ns.max(tail.slowest_ns);
}

/// One slice, and whether a context switch fell into it.
fn one<const LIVE: usize>(ring: &mut Ring<LIVE>, ticks_per_us: f64) -> (Tail, bool) {
    let (one, ten) = (ticks_per_us as u64, (10.0 * ticks_per_us) as u64);
    let mut tail = Tail::default();
    let mut slowest = 0;
    let mut note = |took: u64| {
        if took > one {
            tail.over_1us += 1;
            tail.over_10us += u64::from(took > ten);
        }
        slowest = slowest.max(took);
    };
    let spent = super::clock::time(super::clock::Whose::Thread, OPERATIONS, || {
        ring.steps(OPERATIONS, |calls, old, size| {
            let start = ticks();
            // SAFETY: `old` is live, and each block of the ring is freed here once.
            unsafe { (calls.free)(old) };
            let middle = ticks();
            // SAFETY: malloc may be called with any size.
            let block = unsafe { (calls.malloc)(size) };
            let end = ticks();
            note(middle.wrapping_sub(start));
            note(end.wrapping_sub(middle));
            super::rows::touched(block)
        });
    });
    tail.calls = 2 * OPERATIONS;
    tail.slowest_ns = (slowest as f64 / ticks_per_us * 1e3) as u64;
    (tail, spent.switches > 0)
}

/// A counter that runs at a constant rate and costs nanoseconds to read.
#[cfg(target_arch = "x86_64")]
fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the time stamp counter; reading it touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The same by the system's clock, where there is no counter to read.
#[cfg(not(target_arch = "x86_64"))]
fn ticks() -> u64 {
    super::clock::now(libc::CLOCK_MONOTONIC)
}

/// How many ticks a microsecond has: the counter against the clock for 2 ms.
fn ticks_per_us() -> f64 {
    let (start, began) = (Instant::now(), ticks());
    while start.elapsed() < Duration::from_millis(2) {
        std::hint::spin_loop();
    }
    let ticked = ticks().wrapping_sub(began);
    ticked as f64 / (start.elapsed().as_nanos() as f64 / 1e3)
}
