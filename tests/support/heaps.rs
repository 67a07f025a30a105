//! What tests of the production allocator share: its engine with a heap for each thread, and the
//! process's resident set.

// Each test file uses its part of this.
#![allow(dead_code)]

use std::fs;
use std::marker::PhantomData;
use std::thread;

use drystone::Misuse;
use drystone::internals::engine::Heap;
use drystone::internals::{Engine, Os, Probe, RawLock};

/// An engine of its own for a test, in a box. It is made on the stack, of which it takes more than
/// a test's thread has.
pub fn engine<O, P, L>(os: O, probe: P, lock: L) -> Box<Engine<O, P, L>>
where
    O: Os + Send,
    P: Probe + Send,
    L: RawLock + Send,
{
    let made = thread::scope(|scope| {
        let make = || Box::into_raw(Box::new(Engine::with_parts(os, probe, lock)));
        let large = thread::Builder::new().stack_size(64 << 20);
        large.spawn_scoped(scope, || make().expose_provenance()).unwrap().join().unwrap()
    });
    // SAFETY: made by `Box::into_raw` of that type, once.
    unsafe { Box::from_raw(std::ptr::with_exposed_provenance_mut(made)) }
}

/// A thread's heap, left to others when dropped.
pub struct Claim<'a, O: Os, P: Probe, L: RawLock> {
    pub engine: &'a Engine<O, P, L>,
    pub heap: &'a Heap,
    /// It stays with its thread, whose heap it is.
    stays: PhantomData<*const ()>,
}

impl<'a, O: Os, P: Probe, L: RawLock> Claim<'a, O, P, L> {
    /// A heap for the calling thread. `None` when the OS fails.
    pub fn new(engine: &'a Engine<O, P, L>) -> Option<Self> {
        Some(Claim { engine, heap: engine.claim()?, stays: PhantomData })
    }

    /// A block of `size` bytes, or null.
    pub fn malloc(&self, size: usize) -> *mut u8 {
        self.aligned(size, 16)
    }

    /// A block of `size` bytes at a multiple of `align`, or null.
    pub fn aligned(&self, size: usize, align: usize) -> *mut u8 {
        // SAFETY: the calling thread claimed the heap: a claim is not `Send`.
        unsafe { self.engine.malloc(self.heap, size, align) }
    }

    /// Frees whatever it is given.
    pub fn try_free(&self, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: the calling thread claimed the heap; the tests use no block that they have given
        // up.
        unsafe { self.engine.try_free(self.heap, block) }
    }

    /// Frees a live block.
    #[track_caller]
    pub fn free(&self, block: *mut u8) {
        self.try_free(block).unwrap();
    }

    /// Resizes a live block.
    #[track_caller]
    pub fn realloc(&self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the heap is this thread's; its tests use no block that they have given up.
        unsafe { self.engine.try_realloc(self.heap, block, size, 16) }.unwrap()
    }

    /// Every invariant holds.
    #[track_caller]
    pub fn sound(&self) {
        // SAFETY: the heap is this thread's; its tests use no block that they have given up.
        unsafe { self.engine.check(self.heap) }.unwrap();
    }

    /// Looks for misuses that no call has found; how many.
    pub fn sweep(&self) -> usize {
        // SAFETY: the heap is this thread's; its tests use no block that they have given up.
        unsafe { self.engine.sweep_all(self.heap, |_| {}) }
    }

    /// Gives idle memory back; bytes.
    pub fn trim(&self) -> usize {
        // SAFETY: the heap is this thread's; its tests use no block that they have given up.
        unsafe { self.engine.trim(self.heap) }
    }
}

impl<O: Os, P: Probe, L: RawLock> Drop for Claim<'_, O, P, L> {
    fn drop(&mut self) {
        // SAFETY: claimed by this thread, and not used any more.
        unsafe { self.engine.release(self.heap) };
    }
}

/// Bytes of the process's resident set, by the kernel's account.
pub fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kibibytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}
