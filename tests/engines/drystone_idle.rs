//! Slabs without a live block, which a heap leaves to others: whole, and they go back in time.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::clocked::Clocked;
use crate::heaps::{Claim, engine};
use drystone::internals::{Engine, FutexLock, NoProbe};

type Clock = Arc<AtomicU64>;
type Timed = Engine<Clocked, NoProbe, FutexLock>;

/// An engine for which time passes as the clock is set.
fn timed() -> (Box<Timed>, Clock) {
    let clock = Arc::new(AtomicU64::new(1000));
    (engine(Clocked(Arc::clone(&clock)), NoProbe, FutexLock::new()), clock)
}

/// A phase of a program: 256 KiB of blocks of one size, all freed again.
fn phase(claim: &Claim<'_, Clocked, NoProbe, FutexLock>, size: usize) {
    let blocks: Vec<_> = (0..(256 << 10) / size).map(|_| claim.malloc(size)).collect();
    blocks.into_iter().for_each(|block| claim.free(block));
}

/// 3 MiB in all: more than a heap keeps.
const SIZES: [usize; 12] = [64, 96, 160, 224, 320, 448, 640, 896, 1280, 1792, 2560, 3584];

/// Each class comes back to the slabs that it left: none is made anew, none goes back.
#[test]
fn a_thread_that_goes_through_phases_comes_back_to_its_slabs() {
    let (engine, _still) = timed();
    let claim = Claim::new(&engine).unwrap();
    let round = || SIZES.into_iter().for_each(|size| phase(&claim, size));
    (0..2).for_each(|_| round());
    let before = engine.layer_stats();
    (0..20).for_each(|_| round());
    let after = engine.layer_stats();
    assert_eq!(after.slabs_made, before.slabs_made);
    assert_eq!(after.slabs_given_back, before.slabs_given_back);
    assert!(after.slabs_reclaimed > before.slabs_reclaimed, "some were left meanwhile");
    claim.sound();
    claim.trim();
    assert_eq!((engine.layer_stats().span_bytes, engine.layer_stats().idle_bytes), (0, 0));
    claim.sound();
}

/// Another thread that needs the class has them.
#[test]
fn idle_slabs_are_for_whoever_needs_their_class() {
    let (engine, _still) = timed();
    let first = Claim::new(&engine).unwrap();
    SIZES.into_iter().for_each(|size| phase(&first, size));
    let before = engine.layer_stats();
    assert!(before.idle_bytes > 0, "some are left");
    thread::scope(|scope| {
        scope.spawn(|| {
            let second = Claim::new(&engine).unwrap();
            phase(&second, SIZES[0]);
            second.sound();
        });
    });
    let after = engine.layer_stats();
    assert!(after.slabs_reclaimed > before.slabs_reclaimed);
    assert!(after.slabs_made < before.slabs_made + 2, "{before:?} {after:?}");
    first.sound();
}

/// What is left is bounded, and goes back as time passes, whoever looks at the clock.
#[test]
fn slabs_that_nobody_needs_go_back_after_some_time() {
    let (engine, clock) = timed();
    let claim = Claim::new(&engine).unwrap();
    for size in (64..=16 << 10).step_by(64) {
        phase(&claim, size);
    }
    let left = engine.layer_stats();
    assert!((1 << 20..=32 << 20).contains(&left.idle_bytes), "{left:?}");
    for _ in 0..40 {
        clock.fetch_add(250, Ordering::Relaxed);
        (0..2).for_each(|_| phase(&claim, 1000));
    }
    let after = engine.layer_stats();
    assert!(after.idle_bytes <= 1 << 20 && after.span_bytes <= 1 << 20, "{after:?}");
    claim.sound();
}

/// A block of an idle slab is free: who frees it once more is told so, and harms nobody.
#[test]
fn a_free_into_an_idle_slab_is_rejected() {
    let (engine, _still) = timed();
    let claim = Claim::new(&engine).unwrap();
    let stale = claim.malloc(64);
    claim.free(stale);
    let address = stale.expose_provenance();
    SIZES.into_iter().for_each(|size| phase(&claim, size));
    thread::scope(|scope| {
        scope.spawn(|| {
            let other = Claim::new(&engine).unwrap();
            for _ in 0..3 {
                let stale = ptr::with_exposed_provenance_mut(address);
                assert!(other.try_free(stale).is_err());
            }
            other.sound();
        });
    });
    claim.sound();
    claim.trim();
    assert_eq!((engine.stats().live_blocks, engine.layer_stats().span_bytes), (0, 0));
}
