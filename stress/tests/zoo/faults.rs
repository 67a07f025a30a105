//! Heaps that are wrong in one way each: wrappers around `ListHeap`, and locks that do not lock.

use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{hint, process, thread};

use drystone::internals::{FutexLock, Mmap, RawLock};
use drystone::{BlockState, Broken, Found, ListHeap, Misuse, MisuseKind, Stats};
use drystone_checker::witness::Witness;
use drystone_stress::allocators::linked::heap::Linked;
use drystone_stress::allocators::linked::place::{self, Place};
use drystone_stress::allocators::linked::watched::Watched;
use drystone_stress::allocators::process::AllocatorEntry;

/// What is wrong with a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the wrapper itself must not be what is found.
    None,
    /// Allocates, once in 100,000 mallocs, a part of a block that is live.
    Overlaps,
    /// Changes, once in 20,000 mallocs, a byte of a live block.
    Scribbles,
    /// Leaves, once in 1,000 callocs, the block as it is.
    ForgetsToZero,
    /// Keeps, once in 10,000 frees, the block.
    DropsAFree,
    /// Keeps, once in 200 frees, the block until it is swept: memory that grows, and of which
    /// nothing is missing at rest.
    Leaks,
    /// Says of every double free that it is fine.
    CallsDoubleFreesFine,
    /// Says so once in 100.
    CallsSomeDoubleFreesFine,
    /// Says so when another free is under way: what a check without its lock comes to.
    CallsRacingFreesFine,
    /// Is off by 8 bytes, once in 10,000 mallocs.
    Misaligns,
    /// Loses, once in 1,000 reallocs, the last byte that both sizes share.
    LosesThePrefix,
    /// Gives null, once in 20,000 mallocs, for no reason.
    GivesNull,
    /// Takes a size over `PTRDIFF_MAX` for a small one.
    GrantsTheImpossible,
    /// Says that a block has one byte less than was asked for, once in 10,000 questions.
    UnderstatesTheSize,
    /// Takes microseconds to say how large a block is: no fault, and a check that is slow.
    SaysTheSizeSlowly,
    /// Reports, once in 20,000 frees, a correct one.
    AccusesTheInnocent,
    /// Gives nothing back.
    KeepsMemory,
    /// Says at rest that an invariant is broken.
    BreaksInvariants,
    /// Writes to address 8, at the 20,000th malloc.
    Crashes,
    /// Never returns from the 20,000th malloc.
    Hangs,
    /// Ends the process, at the 20,000th malloc, as if all were well.
    Exits,
    /// Keeps the blocks that a thread frees after its first thread-local destructors.
    LosesBlocksAtThreadEnds,
    /// Gives null for everything in a forked child.
    GivesNullInTheChild,
    /// Says of one misuse in 50 that it is fine.
    MissesMisuses,
    /// Calls one double free in 50 another misuse.
    MisnamesMisuses,
    /// Changes, when it reports a pointer into a live block, the byte there.
    ScribblesWhenItReports,
    /// Says of one misuse in 50 once more, deferred, what it has said at the call.
    ReportsTwice,
}

/// A heap with a fault.
pub struct Faulty<L: RawLock> {
    heap: ListHeap<Mmap, Watched, L>,
    fault: Fault,
    calls: AtomicUsize,
    /// Frees that have begun and not ended.
    under_way: AtomicUsize,
    /// A part of a live block that will be another block, or a byte that will be changed.
    bait: Mutex<Bait>,
    /// Blocks that are kept until the heap is swept.
    kept: Mutex<Vec<usize>>,
    /// This process is a forked child.
    is_a_child: AtomicBool,
    /// Reports that were made once more.
    again: AtomicU64,
}

thread_local! {
    // No destructor, so that it can be read when the other's has run.
    static HAS_ENDED: Cell<bool> = const { Cell::new(false) };
    static AT_THE_END: AtTheEnd = const { AtTheEnd };
}

/// Says that the thread's destructors have begun.
struct AtTheEnd;

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        HAS_ENDED.set(true);
    }
}

#[derive(Clone, Copy)]
struct Bait {
    address: usize,
    size: usize,
}

const NOTHING: Bait = Bait { address: 0, size: 0 };

impl<L: RawLock> Faulty<L> {
    pub const fn new(fault: Fault, witness: &'static Witness, lock: L) -> Self {
        let heap = ListHeap::with_parts(Mmap, Watched(witness), lock);
        let (calls, under_way) = (AtomicUsize::new(0), AtomicUsize::new(0));

        let kept = Mutex::new(Vec::new());
        let (is_a_child, again) = (AtomicBool::new(false), AtomicU64::new(0));
        let bait = Mutex::new(NOTHING);
        Self { heap, fault, calls, under_way, bait, kept, is_a_child, again }
    }

    /// True once in `every` calls, if the fault is `fault`.
    fn strikes(&self, fault: Fault, every: usize) -> bool {
        self.fault == fault && self.calls.fetch_add(1, Ordering::Relaxed) % every == every - 1
    }

    /// Hands `block` on, and sometimes keeps a part of it as another block.
    fn overlapped(&self, block: *mut u8, size: usize) -> *mut u8 {
        let strikes = self.strikes(Fault::Overlaps, 100_000);
        let mut bait = self.bait();
        if bait.address != 0 && size <= bait.size {
            let address = bait.address;
            *bait = NOTHING;
            return std::ptr::with_exposed_provenance_mut(address);
        }
        if (strikes || bait.size == 1) && size >= 64 && !block.is_null() {
            *bait = Bait { address: block.expose_provenance() + 16, size: size - 16 };
        } else if strikes {
            // The next block that is large enough will do.
            bait.size = 1;
        }
        block
    }

    /// The bait. To wait for it must not show in `errno`, which the checker looks at.
    fn bait(&self) -> MutexGuard<'_, Bait> {
        drystone::internals::errno::kept(|| {
            self.bait.lock().unwrap_or_else(PoisonError::into_inner)
        })
    }

    /// The blocks that are kept; as for the bait, waiting must not show.
    fn kept(&self) -> MutexGuard<'_, Vec<usize>> {
        drystone::internals::errno::kept(|| {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner)
        })
    }

    /// Changes a byte of the block that was returned before, unless that was freed meanwhile.
    fn scribbled(&self, block: *mut u8, size: usize) -> *mut u8 {
        let strikes = self.strikes(Fault::Scribbles, 20_000);
        let mut bait = self.bait();
        if bait.address != 0 {
            let byte = std::ptr::with_exposed_provenance_mut::<u8>(bait.address);
            // SAFETY: the block was not freed, for `forget` would have cleared the bait; that its
            // owner may be at it in this moment is the fault.
            unsafe { byte.write(!byte.read()) };
            *bait = NOTHING;
        } else if strikes && size >= 64 && !block.is_null() {
            *bait = Bait { address: block.expose_provenance() + 40, size: 1 };
        }
        block
    }

    /// The block will not be there any more.
    fn forget(&self, block: *mut u8) {
        if self.fault == Fault::Scribbles {
            let mut bait = self.bait();
            if bait.address == block.addr() + 40 {
                *bait = NOTHING;
            }
        }
    }
}

impl<L: RawLock + Sync> Linked for Faulty<L> {
    fn malloc(&self, size: usize) -> *mut u8 {
        match self.fault {
            Fault::Misaligns if self.strikes(Fault::Misaligns, 10_000) => {
                let block = self.heap.malloc(size.saturating_add(8));
                // SAFETY: what is not null has 8 bytes more than asked for.
                return if block.is_null() { block } else { unsafe { block.add(8) } };
            }
            Fault::GivesNull if self.strikes(Fault::GivesNull, 20_000) => return null_mut(),
            Fault::GrantsTheImpossible if size > isize::MAX as usize => {
                return self.heap.malloc(64);
            }
            Fault::Crashes if self.strikes(Fault::Crashes, 20_000) => {
                // SAFETY: none: nothing is mapped there, and the crash is the fault.
                unsafe {
                    std::ptr::without_provenance_mut::<u8>(hint::black_box(8)).write_volatile(1)
                }
            }
            Fault::Hangs if self.strikes(Fault::Hangs, 20_000) => loop {
                thread::sleep(Duration::from_secs(1));
            },
            Fault::Exits if self.strikes(Fault::Exits, 20_000) => process::exit(0),
            Fault::GivesNullInTheChild if self.is_a_child.load(Ordering::Relaxed) => {
                return null_mut();
            }
            // Registers the destructor.
            Fault::LosesBlocksAtThreadEnds => _ = AT_THE_END.try_with(|_| ()),
            _ => {}
        }
        let block = self.heap.malloc(size);
        match self.fault {
            Fault::Overlaps => self.overlapped(block, size),
            Fault::Scribbles => self.scribbled(block, size),
            _ => block,
        }
    }

    fn calloc(&self, count: usize, size: usize) -> *mut u8 {
        if self.strikes(Fault::ForgetsToZero, 1_000) {
            return self.heap.malloc(count.saturating_mul(size));
        }
        self.heap.calloc(count, size)
    }

    fn malloc_aligned(&self, size: usize, alignment: usize) -> *mut u8 {
        self.heap.malloc_aligned(size, alignment)
    }

    unsafe fn try_free(&self, block: *mut u8) -> Result<(), Misuse> {
        self.forget(block);
        if self.strikes(Fault::DropsAFree, 10_000) {
            return Ok(());
        }
        if self.fault == Fault::LosesBlocksAtThreadEnds && HAS_ENDED.get() {
            return Ok(());
        }
        if self.strikes(Fault::Leaks, 200) {
            self.kept().push(block.expose_provenance());
            return Ok(());
        }
        if self.strikes(Fault::AccusesTheInnocent, 20_000) {
            return Err(Misuse {
                kind: MisuseKind::DoubleFree,
                address: block.addr(),
                size: None,
                state: BlockState::Free,
                found: Found::AtCall,
            });
        }
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        // SAFETY: `block` is live and given up, or the heap rejects it.
        let freed = unsafe { self.heap.try_free(block) };
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        match freed {
            Err(_) if self.fault == Fault::CallsRacingFreesFine && others > 0 => Ok(()),
            Err(_) if self.fault == Fault::CallsDoubleFreesFine => Ok(()),
            Err(_) if self.strikes(Fault::CallsSomeDoubleFreesFine, 100) => Ok(()),
            Err(misuse) => self.told(misuse),
            Ok(()) => Ok(()),
        }
    }

    unsafe fn try_realloc(&self, block: *mut u8, size: usize) -> Result<*mut u8, Misuse> {
        self.forget(block);
        let usable = if block.is_null() { 0 } else { self.heap.usable_size(block)? };
        let kept = usable.min(size);
        // SAFETY: `block` is live and given up for the result, or the heap rejects it.
        let moved = unsafe { self.heap.try_realloc(block, size) }?;
        if !moved.is_null() && kept > 0 && self.strikes(Fault::LosesThePrefix, 1_000) {
            // The usable size may be more than what was asked for: the first byte is in both.
            // SAFETY: the block has a byte, and is the caller's alone.
            unsafe { moved.write(!moved.read()) };
        }
        Ok(moved)
    }

    fn usable_size(&self, block: *mut u8) -> Result<usize, Misuse> {
        if self.fault == Fault::Overlaps {
            // The part of a live block has a size too.
            return Ok(self.heap.usable_size(block).unwrap_or(0).max(1 << 10));
        }
        if self.fault == Fault::SaysTheSizeSlowly {
            (0..100).for_each(|_| hint::spin_loop());
        }
        let usable = self.heap.usable_size(block)?;
        let understates = usable > 0 && self.strikes(Fault::UnderstatesTheSize, 10_000);
        Ok(if understates { 0 } else { usable })
    }

    fn stats(&self) -> Stats {
        let stats = self.heap.stats();
        let misuses_late = stats.misuses_late + self.again.load(Ordering::Relaxed);
        Stats { misuses_late, ..stats }
    }

    fn survives_forks(&self) -> bool {
        true
    }

    fn fork_prepare(&self) {
        self.heap.fork_prepare();
    }

    unsafe fn fork_parent(&self) {
        // SAFETY: this thread has called `fork_prepare`, and this is the parent.
        unsafe { self.heap.fork_parent() }
    }

    unsafe fn fork_child(&self) {
        self.is_a_child.store(true, Ordering::Relaxed);
        // SAFETY: the thread that forked has called `fork_prepare`, and this is the child.
        unsafe { self.heap.fork_child() }
    }

    fn check(&self) -> Result<(), Broken> {
        if self.fault == Fault::BreaksInvariants {
            return Err(Broken { invariant: "two free blocks are neighbours", address: 0 });
        }
        self.heap.check()
    }

    fn sweep(&self) -> usize {
        for block in std::mem::take(&mut *self.kept()) {
            // SAFETY: its owner has freed it, and it was kept: nobody has freed it here.
            let freed = unsafe { self.heap.try_free(std::ptr::with_exposed_provenance_mut(block)) };
            freed.expect("a block that was kept is live");
        }
        self.heap.sweep(|_| {})
    }

    fn trim(&self) -> usize {
        if self.fault == Fault::KeepsMemory { 0 } else { self.heap.trim() }
    }
}

impl<L: RawLock> Faulty<L> {
    /// What is said of a misuse.
    fn told(&self, misuse: Misuse) -> Result<(), Misuse> {
        if self.strikes(Fault::MissesMisuses, 50) {
            return Ok(());
        }
        if self.strikes(Fault::ReportsTwice, 50) {
            self.again.fetch_add(1, Ordering::Relaxed);
        }
        if misuse.kind == MisuseKind::DoubleFree && self.strikes(Fault::MisnamesMisuses, 50) {
            return Err(Misuse { kind: MisuseKind::InteriorPointer, ..misuse });
        }
        let inside = (misuse.kind, misuse.state) == (MisuseKind::InteriorPointer, BlockState::Live);
        if inside && self.fault == Fault::ScribblesWhenItReports {
            let byte = std::ptr::with_exposed_provenance_mut::<u8>(misuse.address);
            // SAFETY: the pointer is into a live block of the caller's, who waits for this; to
            // change it is the fault.
            unsafe { byte.write(!byte.read()) };
        }
        Err(misuse)
    }
}

/// A lock that lets everybody in.
pub struct NoLock;

// SAFETY: it breaks the trait's contract on purpose: that is the fault, and the witness stops the
// process before two threads have met in the heap.
unsafe impl RawLock for NoLock {
    fn lock(&self) {}
    unsafe fn unlock(&self) {}
    fn fork_prepare(&self) {}
    unsafe fn fork_parent(&self) {}
    unsafe fn fork_child(&self) {}
}

/// A lock that is released as soon as it is taken, once in 1,000 times.
pub struct EarlyUnlock {
    lock: FutexLock,
    taken: AtomicUsize,
}

impl EarlyUnlock {
    pub const fn new() -> Self {
        Self { lock: FutexLock::new(), taken: AtomicUsize::new(0) }
    }
}

// SAFETY: as for `NoLock`.
unsafe impl RawLock for EarlyUnlock {
    fn lock(&self) {
        self.lock.lock();
        if self.taken.fetch_add(1, Ordering::Relaxed) % 1_000 == 999 {
            // SAFETY: locked above, by this thread.
            unsafe { self.lock.unlock() };
        }
    }

    unsafe fn unlock(&self) {
        // Releasing what is not locked does nothing.
        // SAFETY: the caller has locked, or `lock` has let it in without.
        unsafe { self.lock.unlock() };
    }

    fn fork_prepare(&self) {}
    unsafe fn fork_parent(&self) {}
    unsafe fn fork_child(&self) {}
}

/// A lock that forgets to let go of itself in a forked child.
pub struct HeldInTheChild(FutexLock);

// SAFETY: as the lock within; in a forked child nobody gets in, which breaks no promise of
// exclusion, and is the fault.
unsafe impl RawLock for HeldInTheChild {
    fn lock(&self) {
        self.0.lock();
    }

    unsafe fn unlock(&self) {
        // SAFETY: the calling thread has the lock.
        unsafe { self.0.unlock() }
    }

    fn fork_prepare(&self) {
        self.0.lock();
    }

    unsafe fn fork_parent(&self) {
        // SAFETY: locked in `fork_prepare`.
        unsafe { self.0.unlock() }
    }

    unsafe fn fork_child(&self) {}
}

/// A lock that knows nothing of forks: in the child it is held if another thread had it.
pub struct KnowsNoForks(FutexLock);

// SAFETY: as the lock within.
unsafe impl RawLock for KnowsNoForks {
    fn lock(&self) {
        self.0.lock();
    }

    unsafe fn unlock(&self) {
        // SAFETY: the calling thread has the lock.
        unsafe { self.0.unlock() }
    }

    fn fork_prepare(&self) {}
    unsafe fn fork_parent(&self) {}
    unsafe fn fork_child(&self) {}
}

/// A lock whose waiters sleep, and take the sleep's early end for their turn.
pub struct TakesASignalForItsTurn(AtomicBool);

// SAFETY: it breaks the trait's contract on purpose, as `NoLock`.
unsafe impl RawLock for TakesASignalForItsTurn {
    fn lock(&self) {
        while self.0.swap(true, Ordering::Acquire) {
            let pause = libc::timespec { tv_sec: 0, tv_nsec: 20_000 };
            // SAFETY: a valid time; what is left of it is not asked for.
            let slept = drystone::internals::errno::kept(|| unsafe {
                libc::nanosleep(&raw const pause, null_mut())
            });
            if slept != 0 {
                return;
            }
        }
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn fork_prepare(&self) {
        while self.0.swap(true, Ordering::Acquire) {
            thread::yield_now();
        }
    }

    unsafe fn fork_parent(&self) {
        self.0.store(false, Ordering::Release);
    }

    unsafe fn fork_child(&self) {
        self.0.store(false, Ordering::Release);
    }
}

macro_rules! zoo {
    ($($name:literal => $place:ident, $lock:ty = $make:expr, $fault:expr;)*) => {
        $(
            struct $place;

            impl $place {
                const WITNESS: &'static Witness = {
                    static WITNESS: Witness = Witness::new();
                    &WITNESS
                };
            }

            impl Place for $place {
                type Heap = Faulty<$lock>;

                fn heap() -> &'static Self::Heap {
                    static HEAP: Faulty<$lock> = Faulty::new($fault, $place::WITNESS, $make);
                    &HEAP
                }

                fn witness() -> Option<&'static Witness> {
                    Some(Self::WITNESS)
                }
            }
        )*

        /// All of them.
        pub const ALLOCATORS: &[AllocatorEntry] = &[$(
            AllocatorEntry {
                name: $name,
                about: "faulty",
                open: || Ok(place::allocator::<$place>()),
            },
        )*];
    };
}

zoo! {
    "sound" => Sound, FutexLock = FutexLock::new(), Fault::None;
    "overlaps" => Overlaps, FutexLock = FutexLock::new(), Fault::Overlaps;
    "scribbles" => Scribbles, FutexLock = FutexLock::new(), Fault::Scribbles;
    "forgets-to-zero" => ForgetsToZero, FutexLock = FutexLock::new(), Fault::ForgetsToZero;
    "drops-a-free" => DropsAFree, FutexLock = FutexLock::new(), Fault::DropsAFree;
    "leaks" => Leaks, FutexLock = FutexLock::new(), Fault::Leaks;
    "calls-double-frees-fine" => CallsFine, FutexLock = FutexLock::new(),
        Fault::CallsDoubleFreesFine;
    "calls-some-double-frees-fine" => CallsSomeFine, FutexLock = FutexLock::new(),
        Fault::CallsSomeDoubleFreesFine;
    "elides-its-lock" => ElidesLock, NoLock = NoLock, Fault::None;
    "unlocks-early" => UnlocksEarly, EarlyUnlock = EarlyUnlock::new(), Fault::None;
    "calls-racing-frees-fine" => CallsRacingFine, FutexLock = FutexLock::new(),
        Fault::CallsRacingFreesFine;
    "misaligns" => Misaligns, FutexLock = FutexLock::new(), Fault::Misaligns;
    "loses-the-prefix" => LosesThePrefix, FutexLock = FutexLock::new(), Fault::LosesThePrefix;
    "gives-null" => GivesNull, FutexLock = FutexLock::new(), Fault::GivesNull;
    "grants-the-impossible" => Grants, FutexLock = FutexLock::new(), Fault::GrantsTheImpossible;
    "understates-the-size" => Understates, FutexLock = FutexLock::new(), Fault::UnderstatesTheSize;
    "says-the-size-slowly" => SaysSlowly, FutexLock = FutexLock::new(), Fault::SaysTheSizeSlowly;
    "accuses-the-innocent" => Accuses, FutexLock = FutexLock::new(), Fault::AccusesTheInnocent;
    "keeps-memory" => KeepsMemory, FutexLock = FutexLock::new(), Fault::KeepsMemory;
    "breaks-invariants" => BreaksInvariants, FutexLock = FutexLock::new(), Fault::BreaksInvariants;
    "crashes" => Crashes, FutexLock = FutexLock::new(), Fault::Crashes;
    "hangs" => Hangs, FutexLock = FutexLock::new(), Fault::Hangs;
    "exits" => Exits, FutexLock = FutexLock::new(), Fault::Exits;
    "is-held-in-the-child" => HeldInChild, HeldInTheChild =
        HeldInTheChild(FutexLock::new()), Fault::None;
    "knows-no-forks" => NoForks, KnowsNoForks = KnowsNoForks(FutexLock::new()), Fault::None;
    "takes-a-signal-for-its-turn" => SignalForTurn, TakesASignalForItsTurn =
        TakesASignalForItsTurn(AtomicBool::new(false)), Fault::None;
    "loses-blocks-at-thread-ends" => LosesAtEnds, FutexLock = FutexLock::new(),
        Fault::LosesBlocksAtThreadEnds;
    "gives-null-in-the-child" => GivesNullInChild, FutexLock = FutexLock::new(),
        Fault::GivesNullInTheChild;
    "misses-misuses" => MissesMisuses, FutexLock = FutexLock::new(), Fault::MissesMisuses;
    "misnames-misuses" => MisnamesMisuses, FutexLock = FutexLock::new(), Fault::MisnamesMisuses;
    "scribbles-when-it-reports" => ScribblesReporting, FutexLock = FutexLock::new(),
        Fault::ScribblesWhenItReports;
    "reports-twice" => ReportsTwice, FutexLock = FutexLock::new(), Fault::ReportsTwice;
}
