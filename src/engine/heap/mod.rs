//! A heap: one thread's slabs, and the one of each class that is current.
//!
//! ```text
//!  current[class] ─► the slab that malloc pops from, or `nothing`
//!  partial[class] ─► slabs with free blocks first, then those with uncarved ones only
//!  full[class]    ─► slabs of whose blocks next to all are allocated, as far as the owner has looked
//!  empties        ─► slabs of any class without a live block, youngest first, at most IDLE bytes
//! ```
//!
//! Only the owner touches any of it: no lock, and on the fast paths no atomic instruction but the
//! ledger's plain loads and stores.
//!
//! # Where a block comes from when the current slab has none
//! The cheapest first, and memory in use before memory that is not:
//! 1. what others freed in the current slab, if its flag says so;
//! 2. a partial slab with free blocks; an empty slab of the class;
//! 3. uncarved blocks of the current slab, then of a partial one;
//! 4. a full slab with some free blocks, or whose flag says that others freed there:
//!    [`LOOKS`](refill::LOOKS) are looked at, in turn, so that marks pile up before they are swept
//!    and a slab waits for at most `full / LOOKS` refills;
//! 5. an abandoned slab of the class, with live blocks or empty, then a new slab:
//!    all under the span lock.

pub mod idle;
pub mod refill;

use core::ptr;

use crate::engine::classes::{self, CLASSES};
use crate::engine::slab::owned::{List, OwnedSlab, Ring};
use crate::engine::slab::{ABANDONED, Place};
use crate::sync::fault::{self, Fault, planted};
use crate::sync::{self, AtomicBool, AtomicUsize, Cell, Ordering, const_unless_loom};

/// Bytes of empty slabs that a heap keeps. Under loom none, so that slabs end.
pub const IDLE: usize = if cfg!(loom) { 0 } else { 2 << 20 };

/// Bytes of empty slabs that a heap keeps while no thread has it.
pub const IDLE_PARKED: usize = 512 << 10;

/// Slabs in which others free before the owner looks at all of them.
pub const PATIENCE: usize = 64;

/// Frees of others' blocks between two that are counted for all to see.
const STRIDE: u32 = if cfg!(loom) { 2 } else { 64 };

/// The largest request that `Heap::current_for` answers, in bytes.
pub const DIRECT: usize = 1024;

/// A thread's heap. Lives as long as its engine: a thread's exit leaves it, whole, to the next
/// thread. If none comes within a quarter of a second, its slabs are abandoned.
#[allow(missing_debug_implementations, reason = "nobody prints one: it is addresses all over")]
pub struct Heap {
    /// The owner's: reached by [`Owner`].
    own: Cell<Own>,
    /// In a forked child: the owner was a thread of the parent. Set while the child has one thread.
    pub(super) vanished: AtomicBool,
    /// Slabs in which others have begun to free since the owner last looked at them all. Counted
    /// after the slab's flag is up (release), and taken before the flags are looked at (acquire):
    /// so what is counted is seen.
    pub(super) flagged_slabs: AtomicUsize,
    /// Counts on every so many remote frees of the heap's thread, and each time that a thread gets
    /// the heap: see [`remote`](crate::engine::slab::remote).
    pub(super) epoch: AtomicUsize,
    /// The heap's thread is at a mark in a slab that is another's. Written by it alone: see
    /// [`remote`](crate::engine::slab::remote).
    pub(super) at_mark: AtomicBool,
    /// The next of all heaps; set once, before the heap is among them.
    pub(super) next: *const Heap,
    /// The thread that has it, by [`this_thread`](sync::this_thread): it claimed the heap, or leaves
    /// its slabs to others. Of no meaning while it is parked. Written under the span lock. Relaxed:
    /// a forked child alone reads it.
    pub(super) thread: AtomicUsize,
    /// A slow call of the owner is at work here: lists and ledgers may be between two states.
    /// Written and read by the owner alone: by a call, and by one that interrupts it.
    busy: AtomicBool,
    /// Since when no thread has it, in milliseconds, and at least 1; 0 while one has. Written under
    /// the span lock. Relaxed: who reads it elsewhere takes the lock before acting on it.
    pub(super) parked_since: AtomicUsize,
    /// Its neighbours among those that no thread has. Under the span lock.
    pub(super) parked: Cell<Parked>,
}

/// See [`Heap::parked`].
#[derive(Clone, Copy)]
pub struct Parked {
    /// The one left after it.
    pub previous: *const Heap,
    /// The one left before it.
    pub next: *const Heap,
}

// SAFETY: `own` is touched by the owner alone, `parked` under the span lock, `next` is written
// before the heap is listed; the rest is atomic.
unsafe impl Sync for Heap {}

/// What the owner alone touches.
///
/// ```text
/// a slab of this heap is current, or on one of partial[class], full[class], empties; and in slabs
/// idle_bytes = sum of the spans of empties
/// direct[step] = current[class of 16 * step]
/// ```
pub struct Own {
    /// The current slabs again, for requests of up to [`DIRECT`] bytes by 16-byte steps. First, so
    /// that malloc finds it at a small distance.
    direct: [OwnedSlab; DIRECT / 16 + 1],
    /// See the [module](self). Only [`set_current`](Self::set_current) writes here.
    pub current: [OwnedSlab; CLASSES],
    /// See the [module](self).
    pub partial: [List; CLASSES],
    /// As above.
    pub full: [List; CLASSES],
    /// As above.
    pub empties: List,
    /// All slabs, whatever list they are on.
    pub slabs: Ring,
    /// So many of them are still to be looked at, from the ring's cursor on.
    pub to_look: usize,
    /// How many of those that were looked at others had flagged, by the count of flags, and how
    /// many were empty then.
    pub look: (usize, usize),
    /// Bytes of the spans of `empties`.
    pub idle_bytes: usize,
    /// The fewest that they were since a tick last gave back: nobody needed those.
    pub idle_low: usize,
    /// Refills so far: the clock that decay looks at.
    pub refills: u32,
    /// When the owner last looked at all its slabs, in milliseconds.
    pub looked: u64,
    /// A sweep since the last look at all slabs may have crossed a mark whose thread saw the flag
    /// still up, and so told nobody: another look is due, though nothing is counted in
    /// [`Heap::flagged_slabs`].
    pub recheck: bool,
    /// Frees of others' blocks. It wraps.
    remote_frees: u32,
    /// So many slabs must others have begun to free in before the owner looks sooner than that.
    pub patience: usize,
    /// Which class `look_at_one` looks at next.
    hand: usize,
    /// What it saw of each: see [`idle`].
    seen: [u32; CLASSES],
    /// How often the thread's end has called.
    pub ends: u8,
}

const_unless_loom! {
    /// A heap without slabs. `nothing`, the placeholder, stands where it has no current one.
    pub fn new_heap(nothing: OwnedSlab) -> Heap {
        Heap {
            own: Cell::new(Own {
                direct: [nothing; DIRECT / 16 + 1],
                current: [nothing; CLASSES],
                partial: [List::new(); CLASSES],
                full: [List::new(); CLASSES],
                empties: List::new(),
                slabs: Ring::new(),
                to_look: 0,
                look: (0, 0),
                idle_bytes: 0,
                idle_low: 0,
                refills: 0,
                looked: 0,
                recheck: false,
                remote_frees: 0,
                patience: PATIENCE,
                hand: 0,
                seen: [0; CLASSES],
                ends: 0,
            }),
            vanished: AtomicBool::new(false),
            flagged_slabs: AtomicUsize::new(0),
            epoch: AtomicUsize::new(0),
            at_mark: AtomicBool::new(false),
            next: ptr::null(),
            thread: AtomicUsize::new(0),
            busy: AtomicBool::new(false),
            parked_since: AtomicUsize::new(0),
            parked: Cell::new(Parked { previous: ptr::null(), next: ptr::null() }),
        }
    }
}

impl Heap {
    /// The slab current for `class`, or the placeholder.
    ///
    /// # Safety
    /// The calling thread owns the heap, or the heap is the one that never has a block; `class` is
    /// below [`CLASSES`].
    #[cfg(not(loom))]
    #[inline(always)]
    pub(super) unsafe fn current(&self, class: usize) -> OwnedSlab {
        // SAFETY: this thread owns the heap, or nobody writes there; a class is below the length.
        unsafe { self.own.look(|own| *own.current.get_unchecked(class)) }
    }

    /// As [`current`](Self::current), for a request of `size` bytes, up to [`DIRECT`].
    ///
    /// # Safety
    /// The calling thread owns the heap, or the heap is the one that never has a block.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(super) unsafe fn current_for(&self, size: usize) -> OwnedSlab {
        debug_assert!(size <= DIRECT);
        // SAFETY: this thread owns the heap, or nobody writes there; the step is at most DIRECT /
        // 16.
        unsafe { self.own.look(|own| *own.direct.get_unchecked((size + 15) >> 4)) }
    }

    /// The right to the heap's own part.
    ///
    /// # Safety
    /// The calling thread owns the heap: it claimed it, or took it from those that are parked. No
    /// other [`Owner`] of the heap is at work while this one is.
    #[inline(always)]
    pub(super) unsafe fn owner(&self) -> Owner<'_> {
        Owner(self)
    }

    /// Runs `f`, a slow call of the owner, which may be interrupted by a signal whose handler ends
    /// the process: see [`is_busy`](Self::is_busy).
    #[inline]
    pub(super) fn busily<R>(&self, f: impl FnOnce() -> R) -> R {
        // Relaxed: one thread's.
        let before = self.busy.load(Ordering::Relaxed);
        self.busy.store(true, Ordering::Relaxed);
        sync::fence_for_the_compiler();
        let result = f();
        sync::fence_for_the_compiler();
        self.busy.store(before, Ordering::Relaxed);
        result
    }

    /// Counts a call at the end of the owner's thread. Whether there are more to come, of `all`.
    #[cfg(not(loom))]
    pub(super) fn ends_again(&self, all: u8) -> bool {
        // SAFETY: the calling thread owns the heap, and is at nothing else.
        unsafe { self.owner() }.with(|own| {
            own.ends += 1;
            own.ends < all
        })
    }

    /// Whether the owner is in the middle of a look at all its slabs, of which each call that goes
    /// the slow way does a part.
    #[cfg(not(loom))]
    pub(super) fn looks_around(&self) -> bool {
        // SAFETY: the calling thread owns the heap, and is at nothing else.
        unsafe { self.owner() }.with(|own| own.to_look > 0)
    }

    /// Whether the calling thread, which owns the heap, is in the middle of a slow call.
    #[cfg(not(loom))]
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Counts for all to see that the heap's thread is in the middle of no free.
    pub(super) fn advance_epoch(&self) {
        // Release: pairs with the acquire of whoever ends a grace period.
        self.epoch.fetch_add(1, Ordering::Release);
        // Pairs with the fence in `OwnedSlab::retire`.
        if !planted(Fault::EpochUnfenced) {
            sync::fence_after_rmw();
        }
    }
}

/// The right of the thread that owns a heap, as a value: what only it may do takes one.
#[repr(transparent)]
pub struct Owner<'a>(&'a Heap);

impl<'a> Owner<'a> {
    /// The heap.
    #[inline(always)]
    pub fn heap(&self) -> &'a Heap {
        self.0
    }

    /// The heap's address, as slabs name their owner.
    #[inline(always)]
    pub fn address(&self) -> usize {
        ptr::from_ref(self.0).expose_provenance()
    }

    /// Runs `f` on the heap's own part.
    #[inline(always)]
    pub fn with<R>(&mut self, f: impl FnOnce(&mut Own) -> R) -> R {
        // SAFETY: this thread owns the heap, and no other `Owner` of it is at work (`Heap::owner`);
        // `&mut self` keeps two calls from overlapping.
        unsafe { self.0.own.with(f) }
    }

    /// Runs `f`, which may mark another's block, so that who ends a grace period knows of it.
    #[inline(always)]
    pub fn at_mark<R>(&self, f: impl FnOnce() -> R) -> R {
        self.0.at_mark.store(true, Ordering::Relaxed);
        // Pairs with the heavy half, of whoever ends a grace period: either the word is seen there,
        // or the slab's end is seen here.
        // To a model it is a whole fence, which would hide what some twins take away.
        if !(planted(Fault::MarkUnannounced) || fault::is_hidden_by_a_fence()) {
            sync::asymmetric_fence_light();
        }
        let result = f();
        // Release: pairs with the acquire there.
        self.0.at_mark.store(false, Ordering::Release);
        result
    }

    /// Before a free of another's block. Now and then it is counted where others see it: see
    /// [`remote`](crate::engine::slab::remote). Whether it was.
    #[inline]
    pub fn before_remote_free(&mut self) -> bool {
        let remote_frees = self.with(|own| {
            own.remote_frees = own.remote_frees.wrapping_add(1);
            own.remote_frees
        });
        let counted = remote_frees.is_multiple_of(STRIDE);
        if counted {
            self.0.advance_epoch();
        }
        counted
    }
}

impl Own {
    /// Takes `slab`, which is this heap's and not current, off whatever list it is on.
    pub fn unlist(&mut self, slab: OwnedSlab) {
        let class = slab.class();
        match slab.place() {
            Place::Partial => self.partial[class].remove(slab),
            Place::Full => self.full[class].remove(slab),
            Place::Empty => {
                self.empties.remove(slab);
                self.idle_bytes -= bytes_of(class);
                self.idle_low = self.idle_low.min(self.idle_bytes);
            }
            Place::Nowhere | Place::Current | Place::Abandoned | Place::Idle => {}
        }
        slab.put(Place::Nowhere);
    }

    /// Puts a slab that is on no list on the one that its blocks ask for.
    pub fn list(&mut self, slab: OwnedSlab) {
        let class = slab.class();
        let uncarved = slab.has_uncarved();
        let place = if slab.used() == 0 {
            self.empties.push_front(slab);
            self.idle_bytes += bytes_of(class);
            Place::Empty
        } else if uncarved && !slab.has_free() {
            self.partial[class].push_back(slab);
            Place::Partial
        } else if uncarved || !slab.is_nearly_full() {
            self.partial[class].push_front(slab);
            Place::Partial
        } else {
            self.full[class].push_back(slab);
            Place::Full
        };
        slab.put(place);
    }

    /// Makes `slab`, which is on no list, the current one of its class, and lists the one before
    /// it.
    pub fn make_current(&mut self, slab: OwnedSlab) {
        let class = slab.class();
        self.drop_current(class, slab);
        slab.put(Place::Current);
    }

    /// Puts `instead`, or the placeholder, at the place of the current slab of `class`, and lists
    /// that.
    pub fn drop_current(&mut self, class: usize, instead: OwnedSlab) {
        let before = self.current[class];
        self.set_current(class, instead);
        // The placeholder is of no class, and stays on no list.
        if before.class() == class {
            before.leave_current();
            self.list(before);
        }
    }

    /// Bytes of the blocks that the current slabs have carved, and of their spans. Resident is as
    /// much as is carved, or, in spans that were in use before, up to all.
    pub fn bytes_of_current(&self) -> (usize, usize) {
        let bytes = |slab: &OwnedSlab| (slab.carved_bytes(), slab.bytes);
        let sum = |(carved, spans), (more, span)| (carved + more, spans + span);
        self.current.iter().map(bytes).fold((0, 0), sum)
    }

    fn set_current(&mut self, class: usize, slab: OwnedSlab) {
        self.current[class] = slab;
        let first = if class == 0 { 0 } else { classes::size_of(class - 1) / 16 + 1 };
        let last = classes::size_of(class) / 16;
        for step in first..=last.min(DIRECT / 16) {
            self.direct[step] = slab;
        }
    }

    /// What the owner does when a free says
    /// [`Freed::Move`](crate::engine::slab::owner::Freed::Move).
    pub fn relist(&mut self, slab: OwnedSlab) {
        if slab.place() == Place::Current {
            return slab.stay_current();
        }
        self.unlist(slab);
        self.list(slab);
    }

    /// Takes a slab out of the heap, the current one of its class too: one of `class` if there is
    /// any. `nothing` is the placeholder.
    pub fn take_one(&mut self, class: usize, nothing: OwnedSlab) -> Option<OwnedSlab> {
        let current = self.current[class];
        let slab = self.partial[class]
            .first()
            .or_else(|| self.full[class].first())
            .or_else(|| (current.class() == class).then_some(current))
            .or_else(|| self.slabs.first())?;
        if slab.place() == Place::Current {
            self.drop_current(slab.class(), nothing);
        }
        self.unlist(slab);
        self.slabs.remove(slab);
        Some(slab)
    }

    /// Calls `f` with every slab, which may take it off its list.
    pub fn each(&mut self, mut f: impl FnMut(&mut Own, OwnedSlab)) {
        for class in 0..CLASSES {
            let current = self.current[class];
            if current.class() == class {
                f(self, current);
            }
            for first in [self.partial[class].first(), self.full[class].first()] {
                self.each_from(first, &mut f);
            }
        }
        self.each_from(self.empties.first(), &mut f);
    }

    /// As [`each`](Self::each), of those of a list from `next` on.
    fn each_from(&mut self, mut next: Option<OwnedSlab>, f: &mut impl FnMut(&mut Own, OwnedSlab)) {
        while let Some(slab) = next {
            // Read before `f` may take the slab off.
            next = slab.next();
            f(self, slab);
        }
    }
}

/// Bytes of the span of a slab of `class`.
pub fn bytes_of(class: usize) -> usize {
    classes::units(class) * classes::UNIT
}

/// Whether the owner named so was a thread of the parent, before a fork.
pub fn has_vanished(owner: usize) -> bool {
    // SAFETY: an owner that is neither `NOBODY` nor `ABANDONED` is a heap's address, and heaps live
    // as long as slabs.
    owner > ABANDONED
        && unsafe {
            (*ptr::with_exposed_provenance::<Heap>(owner)).vanished.load(Ordering::Relaxed)
        }
}
