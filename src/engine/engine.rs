//! The [`Engine`]: its parts, and the one lock.
//!
//! # Invariants
//! - [`locked`](Engine::locked) is the only place that takes the lock, and the only one that opens
//!   what all heaps [share](crate::engine::shared::Shared). Nothing is called from inside it that
//!   comes back to it.
//! - `deferred` is up whenever misuses wait to be told, as of the last time the lock was released.
//!
//! The files above this one add the operations, in layers; whoever has an engine may call those
//! that are public.

use core::ptr;

use crate::engine::heap::Heap;
use crate::engine::pagemap::PageMap;
use crate::engine::shared::Shared;
use crate::os::{Mmap, Os};
use crate::probe::{NoProbe, Probe};
use crate::sync::{
    AtomicBool, AtomicPtr, AtomicUsize, Cell, FutexLock, Holder, Ordering, RawLock, RelaxedWord,
    const_unless_loom,
};

/// The allocator, without the question whose heap is meant.
///
/// `O` is where memory comes from, `P` looks into critical sections and between checks and stores,
/// `L` is the span lock.
#[allow(missing_debug_implementations, reason = "nobody prints one: it is addresses all over")]
pub struct Engine<O: Os = Mmap, P: Probe = NoProbe, L: RawLock = FutexLock> {
    pub(super) page_map: PageMap,
    pub(super) os: O,
    pub(super) probe: P,
    pub(super) lock: L,
    pub(super) shared: Cell<Shared>,
    /// Deferred misuses wait to be told. Relaxed: a hint; the lock orders what it is about.
    pub(super) deferred: AtomicBool,
    /// Whether the time that the lock is held is measured. Relaxed: stands alone.
    pub(super) timed: AtomicBool,
    /// All heaps, the last made first. Beside what all share, for a forked child looks at them
    /// whoever has the lock. Release, and only under the span lock: the heap is whole.
    pub(super) heaps: AtomicPtr<Heap>,
    /// This process is a forked child, and there are vanished owners. Relaxed: set while there is
    /// one thread.
    pub(super) forked: AtomicBool,
    /// See [`has_stayed`](Self::has_stayed). Relaxed: stands alone.
    pub(super) stayed: AtomicBool,
    /// Slow calls have background work to do.
    pub(super) background: RelaxedWord,
    /// A scan is to be made.
    pub(super) scan_wanted: RelaxedWord,
    /// When the next begins at the earliest, in milliseconds; 0 says that nobody has seen yet that
    /// one is wanted.
    pub(super) scan_due: RelaxedWord,
    /// The kernel's pages are known to be no larger than [`page_bytes`](Os::page_bytes), since it
    /// took one back alone: nothing is rounded up.
    pub(super) exact_pages: RelaxedWord,
    /// Relaxed: a count.
    pub(super) misuses: AtomicUsize,
    /// For models: empty slabs are left to others, instead of ending.
    #[cfg(loom)]
    pub(super) leaves_idle: RelaxedWord,
}

// SAFETY: `shared` is touched only between `lock` and `unlock` (`locked`), and is Send; the rest is
// atomic or shared as it is, which the bounds ask for.
unsafe impl<O: Os + Sync, P: Probe + Sync, L: RawLock + Sync> Sync for Engine<O, P, L> {}

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    const_unless_loom! {
        /// An engine that has taken nothing from the OS yet. More than 2 MiB, nearly all of it
        /// zero, of which only what is used becomes resident: a `static`, not a value on the stack.
        pub fn with_parts(os: O, probe: P, lock: L) -> Self {
            Engine {
                page_map: PageMap::new(),
                os,
                probe,
                lock,
                shared: Cell::new(Shared::new()),
                deferred: AtomicBool::new(false),
                timed: AtomicBool::new(false),
                heaps: AtomicPtr::new(ptr::null_mut()),
                forked: AtomicBool::new(false),
                stayed: AtomicBool::new(false),
                background: RelaxedWord::new(),
                scan_wanted: RelaxedWord::new(),
                scan_due: RelaxedWord::new(),
                exact_pages: RelaxedWord::new(),
                misuses: AtomicUsize::new(0),
                #[cfg(loom)]
                leaves_idle: RelaxedWord::new(),
            }
        }
    }

    /// The critical section: the only place that takes the lock.
    pub(super) fn locked<R>(&self, f: impl FnOnce(&mut Shared) -> R) -> R {
        self.probe.pause();
        self.lock.lock();
        self.probe.enter();
        let began = self.timed.load(Ordering::Relaxed).then(|| self.os.nanoseconds());
        // SAFETY: the lock keeps every other caller out until `unlock`, and orders them.
        let result = unsafe {
            self.shared.with(|shared| {
                shared.locked += 1;
                let result = f(shared);
                if let Some(began) = began {
                    shared.held += self.os.nanoseconds() - began;
                }
                result
            })
        };
        self.probe.leave();
        // SAFETY: locked above, by this thread.
        unsafe { self.lock.unlock() };
        self.probe.pause();
        result
    }

    /// Who has the span lock.
    pub fn holder(&self) -> Holder {
        self.lock.holder()
    }

    /// From now on the time that the lock is held is measured.
    pub fn time_lock(&self) {
        self.timed.store(true, Ordering::Relaxed);
    }

    /// Whether any thread ever claimed a heap.
    pub fn has_heaps(&self) -> bool {
        // Relaxed: only whether there is one.
        !self.heaps.load(Ordering::Relaxed).is_null()
    }
}

impl<O: Os, P: Probe, L: RawLock> Drop for Engine<O, P, L> {
    fn drop(&mut self) {
        self.locked(|shared| shared.release(&self.os));
        self.page_map.release(&self.os);
    }
}
