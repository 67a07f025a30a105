//! `ListHeap` over the mutex: blocks have one owner, and each is freed once.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use drystone::internals::sync::FutexLockWith;
use drystone::internals::{FutexLock, Mmap, NoProbe, RawLock};
use drystone::{ListHeap, MisuseKind};
use loom::thread;

use crate::explore::{explore, must_fail};

/// A heap with the lock `L`. Not dropped in a panic: the lock is then in no state to be taken.
struct Heap<L: RawLock>(ManuallyDrop<ListHeap<Mmap, NoProbe, L>>);

impl<L: RawLock> Heap<L> {
    fn new(lock: L) -> Self {
        Heap(ManuallyDrop::new(ListHeap::with_parts(Mmap, NoProbe, lock)))
    }
}

impl<L: RawLock> Drop for Heap<L> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}

/// Each thread allocates, writes, checks what it wrote, and frees.
fn use_blocks<L: RawLock + Send + Sync + 'static>(lock: fn() -> L, threads: usize) {
    let heap = Arc::new(Heap::new(lock()));
    let work = |heap: &Heap<L>, mark: u8| {
        let block = heap.0.malloc(100);
        // SAFETY: a live block of 100 bytes, this thread's own, freed once.
        unsafe {
            block.write_bytes(mark, 100);
            assert!((0..100).all(|offset| block.add(offset).read() == mark));
            heap.0.try_free(block).unwrap();
        }
    };
    let others: Vec<_> = (1..threads)
        .map(|mark| {
            let heap = heap.clone();
            thread::spawn(move || work(&heap, mark as u8))
        })
        .collect();
    work(&heap, 0);
    others.into_iter().for_each(|other| other.join().unwrap());
    heap.0.check().unwrap();
    assert_eq!(heap.0.stats().live_blocks, 0);
}

/// All threads free one block: one succeeds, each other is told.
fn free_one_block<L: RawLock + Send + Sync + 'static>(lock: fn() -> L, threads: usize) {
    let heap = Arc::new(Heap::new(lock()));
    let block = heap.0.malloc(100) as usize;
    // SAFETY: live, or rejected; nobody uses the block.
    let free = move |heap: &Heap<L>| unsafe { heap.0.try_free(block as *mut u8) };
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let heap = heap.clone();
            thread::spawn(move || free(&heap))
        })
        .collect();
    let mut results = vec![free(&heap)];
    results.extend(others.into_iter().map(|other| other.join().unwrap()));
    let kinds: Vec<_> = results.iter().filter_map(|result| result.err()).map(|m| m.kind).collect();
    assert_eq!(kinds, vec![MisuseKind::DoubleFree; threads - 1]);
    heap.0.check().unwrap();
    assert_eq!(heap.0.stats().misuses_at_call, threads as u64 - 1);
}

/// One thread frees a block and allocates; another frees the same block. Either the second free is
/// told, or it came after the reuse and is stale; two threads never both own the block.
fn free_against_reuse<L: RawLock + Send + Sync + 'static>(lock: fn() -> L) {
    let heap = Arc::new(Heap::new(lock()));
    let block = heap.0.malloc(100) as usize;
    let other = {
        let heap = heap.clone();
        // SAFETY: live, or rejected, or stale: nobody uses the block's bytes in this model.
        thread::spawn(move || unsafe { heap.0.try_free(block as *mut u8) })
    };
    // SAFETY: live, or rejected, or stale: nobody uses the block's bytes in this model.
    let local = unsafe { heap.0.try_free(block as *mut u8) };
    let allocated = heap.0.malloc(100);
    assert_eq!(allocated as usize, block, "last freed, first allocated");
    let remote = other.join().unwrap();
    let took_effect = local.is_ok() as usize + remote.is_ok() as usize;
    let live = heap.0.stats().live_blocks;
    // Two allocations less the frees that took effect.
    assert_eq!(live, 2 - took_effect);
    heap.0.check().unwrap();
}

/// One thread resizes a block while another frees it.
fn free_against_resize<L: RawLock + Send + Sync + 'static>(lock: fn() -> L) {
    let heap = Arc::new(Heap::new(lock()));
    let block = heap.0.malloc(100) as usize;
    let _fence = heap.0.malloc(1);
    let other = {
        let heap = heap.clone();
        // SAFETY: live, or rejected; nobody uses the block's bytes in this model.
        thread::spawn(move || unsafe { heap.0.try_free(block as *mut u8) })
    };
    // SAFETY: live, or rejected; nobody uses the block's bytes in this model.
    let resized = unsafe { heap.0.try_realloc(block as *mut u8, 5000) };
    let freed = other.join().unwrap();
    assert!(
        resized.is_ok() != freed.is_ok(),
        "the two took effect in some order: {resized:?} {freed:?}"
    );
    heap.0.check().unwrap();
}

#[test]
fn two_threads_use_blocks() {
    explore(Some(4), || use_blocks(FutexLock::new, 2));
}

#[test]
fn three_threads_use_blocks() {
    explore(Some(1), || use_blocks(FutexLock::new, 3));
}

#[test]
fn two_threads_free_one_block() {
    explore(None, || free_one_block(FutexLock::new, 2));
}

#[test]
fn three_threads_free_one_block() {
    explore(Some(2), || free_one_block(FutexLock::new, 3));
}

#[test]
fn a_free_races_a_reuse() {
    explore(None, || free_against_reuse(FutexLock::new));
}

#[test]
fn a_free_races_a_resize() {
    explore(None, || free_against_resize(FutexLock::new));
}

/// No lock at all.
struct Elided;

/// A lock that is released as soon as it is taken: all of the critical section comes after.
struct EarlyUnlock(FutexLock);

// SAFETY: none: these two break the contract on purpose, for models that must fail.
unsafe impl RawLock for Elided {
    fn lock(&self) {}
    unsafe fn unlock(&self) {}
    fn fork_prepare(&self) {}
    unsafe fn fork_parent(&self) {}
    unsafe fn fork_child(&self) {}
}

// SAFETY: none: a lock that opens too early breaks the contract on purpose.
unsafe impl RawLock for EarlyUnlock {
    fn lock(&self) {
        self.0.lock();
        // SAFETY: locked the line above.
        unsafe { self.0.unlock() };
    }
    unsafe fn unlock(&self) {}
    fn fork_prepare(&self) {}
    unsafe fn fork_parent(&self) {}
    unsafe fn fork_child(&self) {}
}

#[test]
fn every_model_fails_without_its_lock() {
    must_fail("elided, use", || use_blocks(|| Elided, 2));
    must_fail("elided, free", || free_one_block(|| Elided, 2));
    must_fail("elided, reuse", || free_against_reuse(|| Elided));
    must_fail("elided, resize", || free_against_resize(|| Elided));
}

#[test]
fn every_model_fails_with_an_early_unlock() {
    must_fail("early unlock, use", || use_blocks(|| EarlyUnlock(FutexLock::new()), 2));
    must_fail("early unlock, free", || free_one_block(|| EarlyUnlock(FutexLock::new()), 2));
    must_fail("early unlock, reuse", || free_against_reuse(|| EarlyUnlock(FutexLock::new())));
    must_fail("early unlock, resize", || free_against_resize(|| EarlyUnlock(FutexLock::new())));
}

#[test]
fn every_model_fails_with_a_relaxed_release() {
    must_fail("relaxed, use", || use_blocks(FutexLockWith::<1>::new, 2));
    must_fail("relaxed, free", || free_one_block(FutexLockWith::<1>::new, 2));
    must_fail("relaxed, reuse", || free_against_reuse(FutexLockWith::<1>::new));
    must_fail("relaxed, resize", || free_against_resize(FutexLockWith::<1>::new));
}
