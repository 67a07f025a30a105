//! Double frees by threads that race, and threads that come and go. Each test has an engine of its
//! own, so that its sums are its alone; a probe yields where another thread could interfere.

use std::cell::Cell;
use std::collections::HashSet;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::clocked::Clocked;
use crate::heaps::{Claim, engine};
use drystone::internals::{Engine, FutexLock, Mmap, Probe};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Yields now and then between a check and the store that relies on it.
struct Yields;

thread_local! {
    static PAUSES: Cell<u32> = const { Cell::new(0) };
}

impl Probe for Yields {
    fn pause(&self) {
        PAUSES.set(PAUSES.get() + 1);
        if PAUSES.get().is_multiple_of(3) {
            thread::yield_now();
        }
    }
}

type Racing = Engine<Mmap, Yields, FutexLock>;

fn racing() -> Box<Racing> {
    engine(Mmap, Yields, FutexLock::new())
}

/// Who owns the block that is fought over.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Owner {
    /// One of those who free it.
    In,
    /// Alive, and not among them.
    Out,
    /// A thread that has exited.
    Exited,
    /// A thread that exits while they free.
    Exiting,
}

/// What the races of one kind came to.
#[derive(Debug, Default)]
struct Sums {
    frees: usize,
    at_call: usize,
    deferred: usize,
}

/// A block that threads fight over. Relaxed throughout: the barrier orders.
struct Fight<'a> {
    engine: &'a Racing,
    /// Bytes of the block.
    size: usize,
    /// The block's address.
    block: AtomicUsize,
    /// Frees of it that were taken for the right one.
    effective: AtomicUsize,
    /// Passed twice a round, by all: before the frees and after them.
    barrier: Barrier,
}

impl Fight<'_> {
    fn allocate(&self, claim: &Claim<'_, Mmap, Yields, FutexLock>) {
        let allocated = claim.malloc(self.size);
        assert!(!allocated.is_null());
        self.block.store(allocated.expose_provenance(), Ordering::Relaxed);
        self.effective.store(0, Ordering::Relaxed);
    }

    fn free(&self, claim: &Claim<'_, Mmap, Yields, FutexLock>, rng: &mut Pcg64) {
        for _ in 0..rng.random_range(0..60) {
            std::hint::spin_loop();
        }
        let pointer = ptr::with_exposed_provenance_mut(self.block.load(Ordering::Relaxed));
        if claim.try_free(pointer).is_ok() {
            self.effective.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What each thread does that only frees.
    fn free_each_round(&self, number: usize, rounds: usize) {
        let mut rng = Pcg64::seed_from_u64(number as u64);
        let claim = Claim::new(self.engine).unwrap();
        for _ in 0..rounds {
            self.barrier.wait();
            self.free(&claim, &mut rng);
            self.barrier.wait();
        }
    }

    /// Has the block allocated by its owner and lets the others go on.
    fn begin(&self, owner: Owner, main: &Claim<'_, Mmap, Yields, FutexLock>, rng: &mut Pcg64) {
        match owner {
            Owner::In => {
                self.allocate(main);
                self.barrier.wait();
                self.free(main, rng);
            }
            Owner::Out => {
                self.allocate(main);
                self.barrier.wait();
            }
            Owner::Exited => {
                thread::scope(|inner| {
                    inner.spawn(|| self.allocate(&Claim::new(self.engine).unwrap()));
                });
                self.barrier.wait();
            }
            Owner::Exiting => {
                thread::scope(|inner| {
                    inner.spawn(|| {
                        let claim = Claim::new(self.engine).unwrap();
                        self.allocate(&claim);
                        self.barrier.wait();
                        drop(claim);
                    });
                });
            }
        }
    }
}

/// Lets `threads` threads free one block of `size` bytes at once, `rounds` times.
fn race(engine: &Racing, owner: Owner, threads: usize, size: usize, rounds: usize) -> Sums {
    let freers = if owner == Owner::In { threads } else { threads + 1 };
    let fight = Fight {
        engine,
        size,
        block: AtomicUsize::new(0),
        effective: AtomicUsize::new(0),
        barrier: Barrier::new(freers),
    };
    let mut sums = Sums::default();
    thread::scope(|scope| {
        for number in 1..freers {
            let fight = &fight;
            scope.spawn(move || fight.free_each_round(number, rounds));
        }
        let mut rng = Pcg64::seed_from_u64(0);
        let main = Claim::new(engine).unwrap();
        // Neighbours, so that the block's slab is not always empty afterwards.
        let mut neighbours: Vec<*mut u8> = Vec::new();
        for round in 0..rounds {
            fight.begin(owner, &main, &mut rng);
            fight.barrier.wait();
            let effective = fight.effective.load(Ordering::Relaxed);
            let deferred = main.sweep();
            sums.frees += threads;
            sums.at_call += threads - effective;
            sums.deferred += deferred;
            // Blocks of threads that live, or that reclaimed a slab, are only seen by them: with
            // those the sum is asked for at the end.
            if owner == Owner::In || owner == Owner::Out {
                assert_eq!(effective - deferred, 1, "round {round}: {sums:?}");
            }
            if neighbours.len() < 100 {
                neighbours.push(main.malloc(size));
            } else {
                let one = neighbours.swap_remove(rng.random_range(0..100));
                main.free(one);
            }
        }
        neighbours.into_iter().for_each(|block| main.free(block));
        main.sound();
    });
    // All have exited, and every slab has been judged.
    let main = Claim::new(engine).unwrap();
    sums.deferred += main.sweep();
    sums.deferred = engine.stats().misuses_late as usize;
    main.sound();
    assert_eq!(engine.stats().live_blocks, 0);
    sums
}

#[test]
fn of_n_frees_at_once_exactly_one_is_not_reported() {
    let mut deferred = 0;
    for (owner, rounds) in
        [(Owner::In, 3000), (Owner::Out, 3000), (Owner::Exited, 600), (Owner::Exiting, 600)]
    {
        for threads in 2..=4 {
            for size in [48, 5000, 300_000, 2 << 20] {
                let rounds = if size > 100_000 { rounds / 10 } else { rounds / 3 };
                let engine = racing();
                let sums = race(&engine, owner, threads, size, rounds);
                assert_eq!(sums.frees, threads * rounds);
                assert_eq!(
                    sums.at_call + sums.deferred,
                    (threads - 1) * rounds,
                    "{owner:?}, {threads} threads, {size} bytes: {sums:?}"
                );
                let stats = engine.stats();
                assert_eq!(
                    (stats.misuses_at_call as usize, stats.misuses_late as usize),
                    (sums.at_call, sums.deferred)
                );
                deferred += sums.deferred;
            }
        }
    }
    assert!(deferred > 0, "no free by the owner met another thread's: nothing raced");
    println!("deferred: {deferred}");
}

/// Frees that race with re-allocations: those that took effect, less those found late, equal the
/// allocations; and two threads never hold the same block.
#[test]
fn with_reuse_between_frees_that_took_effect_equal_allocations() {
    const THREADS: usize = 3;
    const ROUNDS: usize = 2000;
    let engine = racing();
    let engine = &*engine;
    let block = AtomicUsize::new(0);
    let (allocations, effective) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let held: Vec<AtomicUsize> = (0..THREADS).map(|_| AtomicUsize::new(0)).collect();
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (barrier, block, allocations, effective, held) =
                (&barrier, &block, &allocations, &effective, &held);
            scope.spawn(move || {
                let claim = Claim::new(engine).unwrap();
                for round in 0..ROUNDS {
                    if round % THREADS == number {
                        block.store(claim.malloc(64).expose_provenance(), Ordering::Relaxed);
                        allocations.fetch_add(1, Ordering::Relaxed);
                    }
                    barrier.wait();
                    let pointer = ptr::with_exposed_provenance_mut(block.load(Ordering::Relaxed));
                    if claim.try_free(pointer).is_ok() {
                        effective.fetch_add(1, Ordering::Relaxed);
                    }
                    let again = claim.malloc(64);
                    allocations.fetch_add(1, Ordering::Relaxed);
                    held[number].store(again.expose_provenance(), Ordering::Relaxed);
                    barrier.wait();
                    // A stale free may have taken a new block away again; it may not have been
                    // given out twice for that: its holders are told apart by when they got it.
                    if claim.try_free(again).is_ok() {
                        effective.fetch_add(1, Ordering::Relaxed);
                    }
                    barrier.wait();
                }
            });
        }
    });
    let main = Claim::new(engine).unwrap();
    main.sweep();
    main.sound();
    let stats = engine.stats();
    assert_eq!(stats.live_blocks, 0);
    assert_eq!(
        effective.into_inner() - stats.misuses_late as usize,
        allocations.into_inner(),
        "{stats:?}"
    );
}

/// A correct program, however hard it races, is never accused.
#[test]
fn a_correct_program_is_never_accused() {
    const THREADS: usize = 4;
    let engine = racing();
    let engine = &*engine;
    let slots: Vec<AtomicUsize> = (0..64).map(|_| AtomicUsize::new(0)).collect();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let slots = &slots;
            scope.spawn(move || {
                let mut rng = Pcg64::seed_from_u64(number as u64);
                for generation in 0..20 {
                    let claim = Claim::new(engine).unwrap();
                    for step in 0..2000 {
                        let size = 1 << rng.random_range(0..if step % 100 == 0 { 21 } else { 11 });
                        let block = claim.malloc(size);
                        // SAFETY: live and at least that long.
                        unsafe { block.write_bytes(number as u8 + 1, size) };
                        // Whoever takes it out of the slot owns it. AcqRel: hands the block on.
                        let slot = &slots[rng.random_range(0..slots.len())];
                        let other = slot.swap(block.expose_provenance(), Ordering::AcqRel);
                        let other = ptr::with_exposed_provenance_mut::<u8>(other);
                        if !other.is_null() {
                            // SAFETY: live, and this thread's.
                            assert!(unsafe { other.read() } as usize <= THREADS, "{generation}");
                            claim.free(other);
                        }
                    }
                    claim.sound();
                }
            });
        }
    });
    let main = Claim::new(engine).unwrap();
    for slot in &slots {
        main.free(ptr::with_exposed_provenance_mut(slot.load(Ordering::Relaxed)));
    }
    assert_eq!(main.sweep(), 0);
    main.sound();
    let stats = engine.stats();
    assert_eq!((stats.live_blocks, stats.misuses_at_call, stats.misuses_late), (0, 0, 0));
    main.trim();
    let layers = engine.layer_stats();
    assert_eq!((layers.span_bytes, layers.idle_bytes, layers.kept_bytes), (0, 0, 0), "{layers:?}");
}

/// A double free into a slab that its owner's exit, or a trim, is giving back at that moment.
#[test]
fn double_frees_into_slabs_that_go_back_are_rejected() {
    let engine = racing();
    let engine = &*engine;
    let blocks: Vec<AtomicUsize> = (0..64).map(|_| AtomicUsize::new(0)).collect();
    let over = AtomicUsize::new(0);
    let rejected = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            let (blocks, over, rejected) = (&blocks, &over, &rejected);
            scope.spawn(move || {
                let claim = Claim::new(engine).unwrap();
                while over.load(Ordering::Relaxed) == 0 {
                    for block in blocks {
                        let address = block.load(Ordering::Acquire);
                        // Freed before it was put here, and its memory is never allocated again by
                        // the thread that exits; whatever it finds, no other block may be harmed.
                        if address != 0
                            && claim.try_free(ptr::with_exposed_provenance_mut(address)).is_err()
                        {
                            rejected.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    thread::yield_now();
                }
            });
        }
        for _ in 0..150 {
            thread::scope(|inner| {
                inner.spawn(|| {
                    let claim = Claim::new(engine).unwrap();
                    // Slabs of different classes, one block each; half are freed here, the others
                    // by nobody until the thread is gone.
                    let local: Vec<_> =
                        (0..blocks.len()).map(|index| claim.malloc((index + 1) * 200)).collect();
                    for block in &local {
                        // A free left over from the round before may have come first: a stale one,
                        // and then this one is rejected.
                        let _ = claim.try_free(*block);
                    }
                    for (slot, block) in blocks.iter().zip(&local) {
                        slot.store(block.expose_provenance(), Ordering::Release);
                    }
                    drop(claim);
                });
            });
            let main = Claim::new(engine).unwrap();
            main.trim();
            main.sound();
        }
        over.store(1, Ordering::Relaxed);
    });
    assert!(rejected.load(Ordering::Relaxed) > 100);
    let main = Claim::new(engine).unwrap();
    main.sweep();
    main.trim();
    main.sound();
    let layers = engine.layer_stats();
    assert_eq!((engine.stats().live_blocks, layers.span_bytes), (0, 0), "{layers:?}");
}

/// A thread that begins has the slabs of one that has exited: none is made, none changes hands.
#[test]
fn an_exited_threads_heap_is_the_next_threads() {
    // No time passes: however slow the machine, no heap rests for long.
    let still = Clocked(Arc::new(AtomicU64::new(1000)));
    let engine = engine(still, Yields, FutexLock::new());
    let engine = &*engine;
    let blocks = |count: usize| {
        thread::scope(|scope| {
            let exits = scope.spawn(|| {
                let claim = Claim::new(engine).unwrap();
                let blocks = (0..count).map(|_| claim.malloc(96)).collect::<Vec<_>>();
                blocks.into_iter().for_each(|block| claim.free(block));
            });
            exits.join().unwrap();
        });
    };
    blocks(1000);
    let before = engine.layer_stats();
    (0..100).for_each(|_| blocks(1000));
    let after = engine.layer_stats();
    assert_eq!((after.slabs_made, after.heaps), (before.slabs_made, before.heaps));
    assert_eq!(after.slabs_reclaimed, before.slabs_reclaimed);
}

/// What threads left that have exited is used by one that was there before, and goes back.
#[test]
fn an_exited_threads_blocks_are_reclaimed_by_one_that_stays() {
    let engine = engine(Mmap, Yields, FutexLock::new());
    let engine = &*engine;
    let stays = Claim::new(engine).unwrap();
    stays.free(stays.malloc(96));
    let left: Vec<usize> = thread::scope(|scope| {
        let exits = scope.spawn(|| {
            let claim = Claim::new(engine).unwrap();
            let blocks: Vec<usize> =
                (0..20_000).map(|_| claim.malloc(96).expose_provenance()).collect();
            // Every second one goes before the exit.
            blocks.iter().step_by(2).for_each(|address| {
                claim.free(ptr::with_exposed_provenance_mut(*address));
            });
            blocks.into_iter().skip(1).step_by(2).collect()
        });
        exits.join().unwrap()
    });
    // So long the heap is kept for a thread that begins.
    thread::sleep(Duration::from_millis(300));
    let before = engine.layer_stats();
    let local: Vec<*mut u8> = (0..10_000).map(|_| stays.malloc(96)).collect();
    let after = engine.layer_stats();
    assert!(after.slabs_reclaimed > before.slabs_reclaimed);
    assert!(after.span_bytes <= before.span_bytes + (1 << 16), "{before:?} {after:?}");
    let left: HashSet<usize> = left.into_iter().collect();
    assert!(local.iter().all(|block| !left.contains(&block.addr())), "a live block was allocated");
    local.into_iter().for_each(|block| stays.free(block));
    for address in left {
        stays.free(ptr::with_exposed_provenance_mut(address));
    }
    stays.trim();
    stays.sound();
    assert_eq!(engine.layer_stats().span_bytes, 0);
}

/// A look at every slab comes to an end, also where several of a class are full.
#[test]
fn a_sweep_of_several_full_slabs_ends() {
    let engine = racing();
    let claim = Claim::new(&engine).unwrap();
    let blocks: Vec<*mut u8> = (0..5000).map(|_| claim.malloc(112)).collect();
    assert_eq!(claim.sweep(), 0);
    blocks.into_iter().for_each(|block| claim.free(block));
    claim.sound();
}
