//! A heap: one thread's slabs, and the one of each class that is current.
//!
//! ```text
//!  current[class] ─► the slab that malloc pops from, or `nothing`
//!  partial[class] ─► slabs with free blocks first, then those with uncarved ones only
//!  full[class]    ─► slabs of whose blocks next to all are allocated, as far as the owner has looked
//!  empties        ─► slabs of any class without a live block, youngest first, at most IDLE bytes
//! ```
//!
//! Only the owner touches any of it: no lock, and on the fast paths no atomic instruction but the ledger's plain loads
//! and stores.
//!
//! # Where a block comes from when the current slab has none
//! The cheapest first, and memory in use before memory that is not:
//! 1. what others freed in the current slab, if its flag says so;
//! 2. a partial slab with free blocks; an empty slab of the class;
//! 3. uncarved blocks of the current slab, then of a partial one;
//! 4. a full slab with some free blocks, or whose flag says that others freed there: [`LOOKS`] are looked at, in
//!    turn, so that marks pile up before they are swept and a slab waits for at most `full / LOOKS` refills;
//! 5. an abandoned slab of the class, then a new slab: [`Shared`](super::shared::Shared)'s.

pub mod refill;

use core::ptr;

use crate::engine::classes::{self, CLASSES};
use crate::engine::slab::list::List;
use crate::engine::slab::{ABANDONED, Place, Slab};
use crate::sync::fault::{Fault, planted};
use crate::sync::{self, AtomicBool, AtomicUsize, Cell, Ordering, const_unless_loom};

/// Bytes of empty slabs that a heap keeps. Under loom none, so that slabs end.
pub const IDLE: usize = if cfg!(loom) { 0 } else { 2 << 20 };

/// Bytes of empty slabs that a heap keeps while no thread has it.
pub const IDLE_PARKED: usize = 512 << 10;

/// Slabs in which others free before the owner looks at all of them.
pub const PATIENCE: usize = 64;

/// Frees of others' blocks between two that are counted for all to see.
const STRIDE: u32 = if cfg!(loom) { 2 } else { 64 };

/// The largest request that [`Heap::current_for`] answers, in bytes.
pub const DIRECT: usize = 1024;

/// A thread's heap. Lives as long as its engine: a thread's exit leaves it, whole, to the next thread. If none comes
/// within a quarter of a second (`span::DECAY`), its slabs become abandoned slabs.
pub struct Heap {
    /// The owner's.
    pub own: Cell<Own>,
    /// In a forked child: the owner was a thread of the parent. Set while the child has one thread.
    pub vanished: AtomicBool,
    /// Slabs in which others have begun to free since the owner last looked at them all. Counted after the slab's
    /// flag is up (release), and used before the flags are looked at (acquire): so what is counted is seen.
    pub flagged_slabs: AtomicUsize,
    /// Every so many frees of others' blocks: one more. And one more each time that a thread gets the heap.
    pub epoch: AtomicUsize,
    /// The next of all heaps; under the span lock, set once.
    pub next: *const Heap,
    /// Since when no thread has it, in milliseconds, and at least 1; 0 while one has. Written under the span lock.
    /// Relaxed: who reads it elsewhere takes the lock before acting on it.
    pub parked_since: AtomicUsize,
    /// The next that no thread has. Under the span lock.
    pub next_parked: Cell<*const Heap>,
}

// SAFETY: `own` is touched by the owner alone, `next_parked` under the span lock, `next` is written before the heap
// is listed; the rest is atomic.
unsafe impl Sync for Heap {}

/// What the owner alone touches.
pub struct Own {
    /// The current slabs again, for requests of up to [`DIRECT`] bytes by 16-byte steps. First, so that malloc
    /// finds it at a small distance.
    direct: [*const Slab; DIRECT / 16 + 1],
    /// See the [module](self). Only [`set_current`](Self::set_current) writes here.
    pub current: [*const Slab; CLASSES],
    /// See the [module](self).
    pub partial: [List; CLASSES],
    /// As above.
    pub full: [List; CLASSES],
    /// As above.
    pub empties: List,
    /// Bytes of the spans of `empties`.
    pub idle_bytes: usize,
    /// Refills so far: the clock that decay looks at.
    pub refills: u32,
    /// When the owner last looked at all its slabs, in milliseconds.
    pub looked: u64,
    /// A sweep since the last look at all slabs may have crossed a mark whose thread saw the flag still up, and so told
    /// nobody: another look is due, though nothing is counted in [`Heap::flagged_slabs`].
    pub recheck: bool,
    /// Frees of others' blocks. It wraps.
    remote_frees: u32,
    /// So many slabs must others have begun to free in before the owner looks sooner than that.
    pub patience: usize,
}

const_unless_loom! {
    /// A heap without slabs. `nothing` stands where it has no current one.
    pub fn new_heap(nothing: *const Slab) -> Heap {
        Heap {
            own: Cell::new(Own {
                direct: [nothing; DIRECT / 16 + 1],
                current: [nothing; CLASSES],
                partial: [List::new(); CLASSES],
                full: [List::new(); CLASSES],
                empties: List::new(),
                idle_bytes: 0,
                refills: 0,
                looked: 0,
                recheck: false,
                remote_frees: 0,
                patience: PATIENCE,
            }),
            vanished: AtomicBool::new(false),
            flagged_slabs: AtomicUsize::new(0),
            epoch: AtomicUsize::new(0),
            next: ptr::null(),
            parked_since: AtomicUsize::new(0),
            next_parked: Cell::new(ptr::null()),
        }
    }
}

impl Heap {
    /// The slab current for `class`, or `nothing`.
    ///
    /// # Safety
    /// The calling thread owns the heap, or the heap is the one that never has a block; `class` is below
    /// [`CLASSES`].
    #[inline(always)]
    pub unsafe fn current(&self, class: usize) -> *const Slab {
        // SAFETY: as the caller promises.
        unsafe { self.own.look(|own| *own.current.get_unchecked(class)) }
    }

    /// As [`current`](Self::current), for a request of `size` bytes, up to [`DIRECT`].
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub unsafe fn current_for(&self, size: usize) -> *const Slab {
        debug_assert!(size <= DIRECT);
        // SAFETY: as the caller promises; the step is at most DIRECT / 16.
        unsafe { self.own.look(|own| *own.direct.get_unchecked((size + 15) >> 4)) }
    }

    /// Before a free of another's block. Now and then it is counted where others see it: a free before the count is
    /// over for who sees the count, and one after it sees what came before the fence of who does not.
    ///
    /// # Safety
    /// The calling thread owns the heap.
    #[inline]
    pub unsafe fn before_remote_free(&self) {
        // SAFETY: as the caller promises.
        let remote_frees = unsafe {
            self.own.with(|own| {
                own.remote_frees = own.remote_frees.wrapping_add(1);
                own.remote_frees
            })
        };
        if remote_frees.is_multiple_of(STRIDE) {
            self.advance_epoch();
        }
    }

    /// Counts for all to see that the heap's thread is in the middle of no free.
    pub fn advance_epoch(&self) {
        // Release: pairs with the acquire in `shared::grace_is_over`.
        self.epoch.fetch_add(1, Ordering::Release);
        // Pairs with the fence in `Slab::retire`.
        if !planted(Fault::EpochUnfenced) {
            sync::fence_after_rmw();
        }
    }
}

impl Own {
    /// Takes `slab` off whatever list of this heap it is on.
    ///
    /// # Safety
    /// The calling thread owns the heap, and `slab` is one of its, and not current.
    pub unsafe fn unlist(&mut self, slab: *const Slab) {
        // SAFETY: as the caller promises.
        unsafe {
            let class = (*slab).class();
            match (*slab).local.with(|local| local.place) {
                Place::Partial => self.partial[class].remove(slab),
                Place::Full => self.full[class].remove(slab),
                Place::Empty => {
                    self.empties.remove(slab);
                    self.idle_bytes -= bytes_of(class);
                }
                Place::Nowhere | Place::Current | Place::Abandoned => {}
            }
            (*slab).local.with(|local| local.put(Place::Nowhere));
        }
    }

    /// Puts a slab that is on no list on the one that its blocks ask for.
    ///
    /// # Safety
    /// The calling thread owns the heap, and `slab`, which is on no list.
    pub unsafe fn list(&mut self, slab: *const Slab) {
        // SAFETY: as the caller promises.
        unsafe {
            let class = (*slab).class();
            let (used, has_free, uncarved, sleeps) = (*slab).local.with(|local| {
                let uncarved = local.has_uncarved((*slab).capacity());
                (local.used(), local.has_free(), uncarved, local.sleeps())
            });
            let place = if used == 0 {
                self.empties.push_front(slab);
                self.idle_bytes += bytes_of(class);
                Place::Empty
            } else if uncarved && !has_free {
                self.partial[class].push_back(slab);
                Place::Partial
            } else if uncarved || !sleeps {
                self.partial[class].push_front(slab);
                Place::Partial
            } else {
                self.full[class].push_back(slab);
                Place::Full
            };
            (*slab).local.with(|local| local.put(place));
        }
    }

    /// Makes `slab`, which is on no list, the current one of its class, and lists the one before it.
    ///
    /// # Safety
    /// As [`list`](Self::list).
    pub unsafe fn make_current(&mut self, slab: *const Slab) {
        // SAFETY: as the caller promises.
        unsafe {
            let class = (*slab).class();
            self.drop_current(class, slab);
            (*slab).local.with(|local| local.put(Place::Current));
        }
    }

    /// Puts `instead` at the place of the current slab of `class`, and lists that.
    ///
    /// # Safety
    /// As [`list`](Self::list); `instead` is the caller's, or `nothing`.
    pub unsafe fn drop_current(&mut self, class: usize, instead: *const Slab) {
        let before = self.current[class];
        self.set_current(class, instead);
        // SAFETY: as the caller promises. `nothing` is of no class, and stays on no list.
        unsafe {
            if (*before).class() == class {
                (*before).leave_current();
                self.list(before);
            }
        }
    }

    fn set_current(&mut self, class: usize, slab: *const Slab) {
        self.current[class] = slab;
        let first = if class == 0 { 0 } else { classes::size_of(class - 1) / 16 + 1 };
        let last = classes::size_of(class) / 16;
        for step in first..=last.min(DIRECT / 16) {
            self.direct[step] = slab;
        }
    }

    /// What the owner does when a free says [`Freed::Move`](super::slab::Freed::Move).
    ///
    /// # Safety
    /// The calling thread owns the heap and `slab`.
    pub unsafe fn relist(&mut self, slab: *const Slab) {
        // SAFETY: as the caller promises.
        unsafe {
            if (*slab).local.with(|local| local.place) == Place::Current {
                return (*slab).local.with(|local| local.stay_current());
            }
            self.unlist(slab);
            self.list(slab);
        }
    }

    /// Calls `f` with every slab, which may take it off its list.
    ///
    /// # Safety
    /// The calling thread owns the heap.
    pub unsafe fn each(&mut self, mut f: impl FnMut(&mut Own, *const Slab)) {
        // SAFETY: the owner's slabs; the next is read before `f` may unlist.
        unsafe {
            for class in 0..CLASSES {
                let current = self.current[class];
                if (*current).class() == class {
                    f(self, current);
                }
                for first in [self.partial[class].first, self.full[class].first] {
                    let mut slab = first;
                    while !slab.is_null() {
                        let next = (*slab).local.with(|local| local.next);
                        f(self, slab);
                        slab = next;
                    }
                }
            }
            let mut slab = self.empties.first;
            while !slab.is_null() {
                let next = (*slab).local.with(|local| local.next);
                f(self, slab);
                slab = next;
            }
        }
    }
}

/// Bytes of the span of a slab of `class`.
pub fn bytes_of(class: usize) -> usize {
    classes::units(class) * classes::UNIT
}

/// Whether the owner named so was a thread of the parent, before a fork.
pub fn has_vanished(owner: usize) -> bool {
    // SAFETY: what is neither of the two marks is a heap's address, and heaps live as long as slabs.
    owner > ABANDONED
        && unsafe {
            (*ptr::with_exposed_provenance::<Heap>(owner)).vanished.load(Ordering::Relaxed)
        }
}
