//! An engine, the heaps of a model's threads, and the accounts that must balance.

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use drystone::internals::engine::{Engine, Heap};
use drystone::internals::{NoProbe, RawLock};
use loom::sync::{Mutex, MutexGuard};
use loom::thread::{self, JoinHandle};

use super::clocked::Clocked;

/// Bytes of a block of which a slab has two (under loom; else eight).
pub const PAIR: usize = 8192;
/// Bytes of a block of which a slab has one.
pub const SINGLE: usize = 40_960;
/// As above, of another class.
pub const OTHER: usize = 49_152;

/// Loom's mutex, as the engine wants it.
pub struct ModelLock {
    mutex: Mutex<()>,
    guard: UnsafeCell<Option<MutexGuard<'static, ()>>>,
}

// SAFETY: the guard is touched by the thread that has the mutex.
unsafe impl Sync for ModelLock {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for ModelLock {}

// SAFETY: loom's mutex excludes and orders.
unsafe impl RawLock for ModelLock {
    fn lock(&self) {
        let guard = self.mutex.lock().unwrap();
        // SAFETY: locked. The guard is dropped by `unlock`, while the mutex lives.
        unsafe {
            *self.guard.get() =
                Some(std::mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard));
        }
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller has the mutex.
        drop(unsafe { (*self.guard.get()).take() });
    }

    fn fork_prepare(&self) {
        unreachable!("no model forks");
    }

    unsafe fn fork_parent(&self) {}

    unsafe fn fork_child(&self) {}
}

/// Milliseconds after which a heap has been parked for long.
pub const AGED: u64 = 60_000;

type ModelEngine = Engine<Clocked, NoProbe, ModelLock>;

/// See the [module](self). Loom's threads take turns on one, so a plain count will do.
#[derive(Clone)]
pub struct World(Rc<Inner>);

struct Inner {
    engine: ManuallyDrop<ModelEngine>,
    /// Whom every slab is biased to; else the first that frees there.
    biased_freer: std::cell::Cell<Option<Hand>>,
    clock: Arc<AtomicU64>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // In a panic the lock is in no state to be taken.
        if !std::thread::panicking() {
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.engine) };
        }
    }
}

/// A thread's heap, which whoever has it may hand on: one model thread at a time uses it, and loom
/// sees it if not.
#[derive(Clone, Copy)]
pub struct Hand(*const Heap);

impl Hand {
    fn heap(&self) -> &Heap {
        // SAFETY: heaps live as long as the engine, which outlives its model's threads.
        unsafe { &*self.0 }
    }
}

/// A block's address, which any thread may know.
pub type Block = usize;

impl World {
    /// A fresh engine.
    pub fn new() -> World {
        let lock = ModelLock { mutex: Mutex::new(()), guard: UnsafeCell::new(None) };
        let clock = Arc::new(AtomicU64::new(AGED));
        let os = Clocked(clock.clone());
        let engine = ManuallyDrop::new(Engine::with_parts(os, NoProbe, lock));
        World(Rc::new(Inner { engine, biased_freer: Default::default(), clock }))
    }

    /// As [`new`](Self::new); `biased` says whether the first other that frees into a slab does so
    /// by plain stores, as it does by itself. If not, every slab is biased to one that never frees.
    pub fn with_bias(biased: bool) -> World {
        let world = World::new();
        world.0.biased_freer.set((!biased).then(|| world.claim()));
        world
    }

    /// The engine.
    pub fn engine(&self) -> &ModelEngine {
        &self.0.engine
    }

    /// Empty slabs are left to others from now on, instead of ending.
    pub fn leave_idle_slabs(&self) {
        self.engine().leave_idle_slabs();
    }

    /// A heap for a thread to be.
    pub fn claim(&self) -> Hand {
        Hand(self.engine().claim().expect("memory for a heap"))
    }

    /// The end of the heap's thread.
    pub fn exit(&self, hand: Hand) {
        // SAFETY: the calling model thread has the hand, and does not use it again.
        unsafe { self.engine().release(hand.heap()) };
    }

    /// Gives back all that is idle, and abandons the heaps that rest.
    pub fn trim(&self, hand: Hand) {
        // SAFETY: the calling model thread has the hand.
        unsafe { self.engine().trim(hand.heap()) };
    }

    /// Time has passed, and the heap's thread comes by.
    pub fn tick(&self, hand: Hand) {
        self.wait(AGED);
        // SAFETY: the calling model thread has the hand.
        unsafe { self.engine().tick_now(hand.heap()) };
    }

    /// A round has begun, and has not come to any slab that there is.
    pub fn round_begins(&self) {
        self.engine().forget_the_scan();
    }

    /// Lets time pass.
    pub fn wait(&self, milliseconds: u64) {
        self.0.clock.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// Allocates a block.
    pub fn malloc(&self, hand: Hand, size: usize) -> Block {
        // SAFETY: the calling model thread has the hand.
        let block = unsafe { self.engine().malloc(hand.heap(), size, 16) };
        assert!(!block.is_null(), "there is memory");
        if let Some(biased_freer) = self.0.biased_freer.get() {
            self.engine().bias(biased_freer.heap(), block.addr());
        }
        block.expose_provenance()
    }

    /// Frees as `global` does for a thread that is not known to be the owner: true when the free
    /// took effect, false when it was reported.
    pub fn free(&self, hand: Hand, block: Block) -> bool {
        let pointer = std::ptr::with_exposed_provenance_mut(block);
        // SAFETY: live, or rejected, or stale: no model uses a block's bytes.
        unsafe {
            self.engine().free_remote(hand.heap(), pointer)
                || self.engine().try_free(hand.heap(), pointer).is_ok()
        }
    }

    /// Frees as `global` does for the owner.
    pub fn free_own(&self, hand: Hand, block: Block) -> bool {
        // SAFETY: live, or rejected, or stale: no model uses a block's bytes.
        unsafe {
            self.engine()
                .try_free(hand.heap(), std::ptr::with_exposed_provenance_mut(block))
                .is_ok()
        }
    }

    /// The block's slab is biased to the heap.
    pub fn bias(&self, hand: Hand, block: Block) {
        self.engine().bias(hand.heap(), block);
    }

    /// Sweeps the heap and the abandoned slabs, by the ledger alone.
    pub fn sweep(&self, hand: Hand) {
        // SAFETY: the calling model thread has the hand.
        unsafe {
            self.engine().sweep_unasked(hand.heap());
            self.engine().sweep_all(hand.heap(), |_| {});
        }
    }

    /// Looks for misuses as at exit: where flags say that there is something to see.
    pub fn judge(&self, hand: Hand) -> usize {
        // SAFETY: the calling model thread has the hand.
        unsafe { self.engine().sweep_all(hand.heap(), |_| {}) }
    }

    /// Runs `work` in a thread of its own.
    pub fn spawn<R: 'static>(&self, work: impl FnOnce(&World) -> R + 'static) -> JoinHandle<R> {
        let world = self.clone();
        thread::spawn(move || work(&world))
    }

    /// Misuses found late so far.
    pub fn deferred(&self) -> usize {
        self.engine().stats().misuses_late as usize
    }

    /// Live blocks by the ledger.
    pub fn live(&self) -> usize {
        self.engine().stats().live_blocks
    }

    /// Slabs in use.
    pub fn slabs(&self) -> usize {
        self.engine().stats().regions
    }

    /// All threads but this have ended. Sweeps everything, and balances the accounts of blocks of
    /// which `allocations` were allocated, and `freed` frees took effect.
    #[track_caller]
    pub fn settle(&self, hands: &[Hand], allocations: usize, freed: &[bool]) {
        for &hand in hands {
            self.sweep(hand);
        }
        let took_effect = freed.iter().filter(|&&freed| freed).count();
        assert_eq!(
            took_effect - self.deferred(),
            allocations - self.live(),
            "frees that took effect, less those reported late, are the allocations that ended"
        );
        self.check(hands);
    }

    /// What the engine says of itself.
    #[track_caller]
    pub fn check(&self, hands: &[Hand]) {
        for hand in hands {
            // SAFETY: all other threads have ended, so the hand is this thread's.
            if let Err(broken) = unsafe { self.engine().check(hand.heap()) } {
                panic!("the engine is sound: {broken}");
            }
        }
    }

    /// No block is live: every slab and span can come back.
    #[track_caller]
    pub fn all_comes_back(&self, hands: &[Hand]) {
        for hand in hands {
            self.trim(*hand);
        }
        assert_eq!(self.live(), 0, "no block is live");
        assert_eq!(self.slabs(), 0, "every slab comes back");
        let layers = self.engine().layer_stats();
        assert_eq!(layers.span_bytes, 0, "every span comes back");
        assert_eq!(layers.slabs_made, layers.slabs_given_back, "each slab ends once");
        self.check(hands);
    }
}

/// Something in a block: loom sees two threads that touch it without an order.
#[derive(Clone)]
pub struct Content(Rc<loom::cell::UnsafeCell<usize>>);

impl Content {
    /// Nothing written yet.
    pub fn new() -> Content {
        Content(Rc::new(loom::cell::UnsafeCell::new(0)))
    }

    /// Writes, as an owner may.
    pub fn write(&self) {
        // SAFETY: loom fails the model if another thread can be here.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }
}
