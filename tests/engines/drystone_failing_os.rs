//! An OS that fails: every k-th call fails, or all from the k-th on, for every k until a scenario
//! ends without having met its failure. The engine stays sound, says null, and works again
//! afterwards.

use std::cell::Cell;
use std::ptr;

use crate::heaps::{Claim, engine};
use drystone::internals::{Engine, FutexLock, Mmap, NoProbe, Os};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Which calls fail.
#[derive(Clone, Copy, Debug)]
enum Plan {
    None,
    /// The k-th alone, counted from 1.
    Once(usize),
    /// Every k-th.
    Every(usize),
    /// The k-th and all after it.
    From(usize),
}

/// The kernel's memory, with failures.
struct FailingOs {
    plan: Cell<Plan>,
    calls: Cell<usize>,
    failed: Cell<usize>,
    /// Bytes mapped and not unmapped.
    mapped: Cell<isize>,
    /// Bytes whose unmapping failed.
    kept: Cell<isize>,
}

impl FailingOs {
    fn new(plan: Plan) -> FailingOs {
        FailingOs {
            plan: Cell::new(plan),
            calls: Cell::new(0),
            failed: Cell::new(0),
            mapped: Cell::new(0),
            kept: Cell::new(0),
        }
    }

    fn fails(&self) -> bool {
        self.calls.set(self.calls.get() + 1);
        let call = self.calls.get();
        let fails = match self.plan.get() {
            Plan::None => false,
            Plan::Once(k) => call == k,
            Plan::Every(k) => call.is_multiple_of(k),
            Plan::From(k) => call >= k,
        };
        self.failed.set(self.failed.get() + usize::from(fails));
        fails
    }

    fn count(&self, start: *mut u8, bytes: usize) -> *mut u8 {
        if !start.is_null() {
            self.mapped.set(self.mapped.get() + bytes as isize);
        }
        start
    }
}

struct Shared<'a>(&'a FailingOs);

// SAFETY: an engine under test is used by one thread; only its making is done by another, which
// waits.
unsafe impl Send for Shared<'_> {}

// SAFETY: passes on what the kernel gives, or nothing.
unsafe impl Os for Shared<'_> {
    fn map(&self, bytes: usize) -> *mut u8 {
        if self.0.fails() { ptr::null_mut() } else { self.0.count(Mmap.map(bytes), bytes) }
    }

    unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
        if self.0.fails() {
            self.0.kept.set(self.0.kept.get() + bytes as isize);
            return false;
        }
        self.0.mapped.set(self.0.mapped.get() - bytes as isize);
        // SAFETY: memory of `Mmap`'s, to which nothing refers any more.
        unsafe { Mmap.unmap(start, bytes) }
    }

    unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        if self.0.fails() {
            return ptr::null_mut();
        }
        // SAFETY: memory of `Mmap`'s; if it may move, the caller alone refers to it.
        let moved = unsafe { Mmap.remap(start, old, new, may_move) };
        if !moved.is_null() {
            self.0.mapped.set(self.0.mapped.get() + new as isize - old as isize);
        }
        moved
    }

    fn reserve(&self, bytes: usize, align: usize) -> *mut u8 {
        if self.0.fails() {
            return ptr::null_mut();
        }
        self.0.count(Mmap.reserve(bytes, align), bytes)
    }

    unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: pages of `Mmap`'s, cut as `decommit` wants them; nobody uses what is there.
        !self.0.fails() && unsafe { Mmap.decommit(start, bytes) }
    }

    fn milliseconds(&self) -> u64 {
        // Time that passes by calls: the same in every run.
        self.0.calls.get() as u64 * 40
    }

    fn entropy(&self) -> u64 {
        1
    }
}

type Held = (*mut u8, usize, u8);

fn filled(block: *mut u8, size: usize, byte: u8) -> bool {
    [0, size / 2, size - 1].iter().all(|&place| {
        // SAFETY: inside a live block.
        unsafe { block.add(place).read() == byte }
    })
}

fn fill(block: *mut u8, size: usize, byte: u8) {
    for place in [0, size / 2, size - 1] {
        // SAFETY: inside a live block.
        unsafe { block.add(place).write(byte) };
    }
}

/// Allocates, resizes and frees at all sizes. What fails is null and changes nothing else.
/// Returns how many requests were.
fn scenario(claim: &Claim<'_, Shared<'_>, NoProbe, FutexLock>) -> usize {
    let mut rng = Pcg64::seed_from_u64(3);
    let mut held: Vec<Held> = Vec::new();
    let mut nulls = 0;
    for step in 0..260_u32 {
        let octave = rng.random_range(0..if step % 4 == 0 { 23 } else { 18 });
        let size = (1_usize << octave) + rng.random_range(0..1_usize << octave);
        match rng.random_range(0..6) {
            0 if !held.is_empty() => {
                let (block, old, byte) = held.swap_remove(rng.random_range(0..held.len()));
                let resized = claim.realloc(block, size);
                if resized.is_null() {
                    nulls += 1;
                    assert!(filled(block, old, byte), "a failed resize changes nothing");
                    held.push((block, old, byte));
                } else {
                    // SAFETY: inside a live block.
                    assert_eq!(unsafe { resized.read() }, byte);
                    fill(resized, size, byte);
                    held.push((resized, size, byte));
                }
            }
            1 | 2 if !held.is_empty() => {
                let (block, size, byte) = held.swap_remove(rng.random_range(0..held.len()));
                assert!(filled(block, size, byte));
                claim.free(block);
                assert!(claim.try_free(block).is_err());
            }
            _ => {
                let align = if step % 16 == 0 { 1 << 18 } else { 16 };
                let block = claim.aligned(size, align);
                if block.is_null() {
                    nulls += 1;
                } else {
                    assert!(block.addr().is_multiple_of(align));
                    fill(block, size, step as u8);
                    held.push((block, size, step as u8));
                }
            }
        }
        if step % 64 == 63 {
            claim.trim();
            claim.sound();
        }
    }
    for (block, size, byte) in held {
        assert!(filled(block, size, byte));
        claim.free(block);
    }
    claim.trim();
    claim.sound();
    nulls
}

/// Runs the scenario under the plan; returns requests that got null, and calls that failed.
fn run(plan: Plan) -> (usize, usize) {
    let os = FailingOs::new(plan);
    let outcome = {
        let engine: Box<Engine<_, _, _>> = engine(Shared(&os), NoProbe, FutexLock::new());
        let nulls = match Claim::new(&engine) {
            Some(claim) => scenario(&claim),
            None => 1,
        };
        let failed = os.failed.get();
        // The OS has recovered: now everything succeeds, and comes back.
        os.plan.set(Plan::None);
        let claim = Claim::new(&engine).expect("a heap");
        assert_eq!(scenario(&claim), 0, "{plan:?}");
        let stats = engine.stats();
        assert_eq!((stats.live_blocks, stats.live_bytes), (0, 0), "{plan:?}");
        (nulls, failed)
    };
    // Whatever is still mapped is memory whose unmapping failed.
    assert!(os.mapped.get() <= os.kept.get(), "{plan:?}: {} bytes are lost", os.mapped.get());
    assert!(os.mapped.get() >= 0);
    outcome
}

#[test]
fn whichever_call_fails_the_engine_stays_sound() {
    assert_eq!(run(Plan::None), (0, 0));
    let mut k = 1;
    let (mut nulls, mut absorbed) = (0, 0);
    loop {
        let (null, failed) = run(Plan::Once(k));
        if failed == 0 {
            break;
        }
        assert_eq!(failed, 1);
        nulls += usize::from(null > 0);
        absorbed += usize::from(null == 0);
        k += 1;
    }
    println!("{} calls failed in turn: {nulls} ended in a null, {absorbed} were absorbed", k - 1);
    assert!(k > 50, "only {k} calls: the scenario is too small");
    assert!(absorbed > 0 && nulls > 0);
}

#[test]
fn every_k_th_call_may_fail() {
    for k in 1..=40 {
        let (nulls, failed) = run(Plan::Every(k));
        assert!(failed > 0 && (k > 2 || nulls > 0), "{k}");
    }
}

#[test]
fn all_calls_may_fail_from_some_moment_on() {
    let mut met = 0;
    for k in (1..400).step_by(3) {
        let (_, failed) = run(Plan::From(k));
        met += usize::from(failed > 0);
        if failed == 0 {
            break;
        }
    }
    assert!(met > 20, "{met}");
}

/// A reservation that fails is tried again smaller: a heap lives in what little there is.
#[test]
fn reservations_shrink_until_they_are_granted() {
    struct Small(FailingOs);
    // SAFETY: an engine under test is used by one thread; only its making is done by another, which
    // waits.
    unsafe impl Send for Small {}
    // SAFETY: passes on what the kernel gives, or nothing.
    unsafe impl Os for Small {
        fn map(&self, bytes: usize) -> *mut u8 {
            if bytes > 1 << 20 { ptr::null_mut() } else { Mmap.map(bytes) }
        }
        unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
            // SAFETY: memory of `Mmap`'s, to which nothing refers any more.
            unsafe { Mmap.unmap(start, bytes) }
        }
        unsafe fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
            ptr::null_mut()
        }
        fn reserve(&self, bytes: usize, align: usize) -> *mut u8 {
            self.0.calls.set(self.0.calls.get() + 1);
            if bytes > 1 << 20 {
                self.0.failed.set(self.0.failed.get() + 1);
                return ptr::null_mut();
            }
            Mmap.reserve(bytes, align)
        }
        unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool {
            // SAFETY: pages of `Mmap`'s, cut as `decommit` wants them; nobody uses what is there.
            unsafe { Mmap.decommit(start, bytes) }
        }
        fn entropy(&self) -> u64 {
            1
        }
    }
    let engine = engine(Small(FailingOs::new(Plan::None)), NoProbe, FutexLock::new());
    let claim = Claim::new(&engine).unwrap();
    let blocks: Vec<*mut u8> = (0..3000).map(|index| claim.malloc(index * 7 + 1)).collect();
    assert!(blocks.iter().all(|block| !block.is_null()));
    assert!(claim.malloc(4 << 20).is_null());
    // A block that grows gets the room that there is, or none, and is copied where its mapping
    // can't be made longer.
    let mut grown = claim.malloc(40 << 10);
    for size in [100 << 10, 200 << 10, 400 << 10, 700 << 10] {
        // SAFETY: the block is live; its first and last bytes are written before they are read.
        unsafe {
            grown.write(1);
            grown = claim.realloc(grown, size);
            assert!(!grown.is_null(), "{size} bytes are there");
            assert_eq!(grown.read(), 1);
            grown.add(size - 1).write(2);
        }
    }
    claim.free(grown);
    blocks.into_iter().for_each(|block| claim.free(block));
    claim.trim();
    claim.sound();
}

/// An OS with so much address space.
struct Short(Cell<usize>);

// SAFETY: one thread uses it, once another has made its engine, which then ends.
unsafe impl Send for Short {}

impl Short {
    fn take(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes);
        left.map(|left| self.0.set(left)).is_some()
    }
}

// SAFETY: passes on what the kernel gives, or nothing.
unsafe impl Os for Short {
    fn map(&self, bytes: usize) -> *mut u8 {
        if self.take(bytes) { Mmap.map(bytes) } else { ptr::null_mut() }
    }

    unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
        self.0.set(self.0.get() + bytes);
        // SAFETY: memory of `Mmap`'s, to which nothing refers any more.
        unsafe { Mmap.unmap(start, bytes) }
    }

    unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        if new > old && !self.take(new - old) {
            return ptr::null_mut();
        }
        self.0.set(self.0.get() + old.saturating_sub(new));
        // SAFETY: memory of `Mmap`'s; if it may move, the caller alone refers to it.
        unsafe { Mmap.remap(start, old, new, may_move) }
    }

    fn reserve(&self, bytes: usize, align: usize) -> *mut u8 {
        if self.take(bytes) { Mmap.reserve(bytes, align) } else { ptr::null_mut() }
    }

    unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: pages of `Mmap`'s, cut as `decommit` wants them; nobody uses what is there.
        unsafe { Mmap.decommit(start, bytes) }
    }

    fn entropy(&self) -> u64 {
        1
    }
}

/// Room for a block that grows is address space, and where that is short the block does without.
#[test]
fn room_is_given_up_for_those_who_need_it() {
    const MIB: usize = 1 << 20;
    let engine = engine(Short(Cell::new(300 * MIB)), NoProbe, FutexLock::new());
    let claim = Claim::new(&engine).unwrap();
    let mut grown = claim.malloc(100 << 10);
    for size in [MIB, 30 * MIB] {
        grown = claim.realloc(grown, size);
        assert!(!grown.is_null());
    }
    // SAFETY: live, and that long.
    unsafe { grown.add(30 * MIB - 1).write(7) };
    let mut others = Vec::new();
    loop {
        let other = claim.malloc(20 * MIB);
        if other.is_null() {
            break;
        }
        others.push(other);
    }
    let live = engine.stats().live_bytes;
    println!("{} MiB of 300 were allocated", live / MIB);
    assert!(live > 260 * MIB, "{live}: room was kept from those who asked");
    // SAFETY: live, and that long.
    assert_eq!(unsafe { grown.add(30 * MIB - 1).read() }, 7);
    others.into_iter().for_each(|other| claim.free(other));
    grown = claim.realloc(grown, 40 * MIB);
    assert!(!grown.is_null(), "it grows on without");
    claim.free(grown);
    claim.sound();
}
