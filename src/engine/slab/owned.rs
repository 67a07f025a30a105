//! The right to a slab's local part, as a value: what only an owner may do takes an [`OwnedSlab`].
//!
//! # Who has one
//! | the slab | who may touch its local part |
//! |---|---|
//! | has an owner | the thread that owns that heap |
//! | is abandoned, pooled, or its owner vanished in a fork | whoever has the span lock |
//! | is the [placeholder](super::placeholder) | every thread, for looks |
//!
//! So the one condition of [`OwnedSlab::new`] stands for all of them: code that has the value
//! need not say again why it may.

use core::ops::Deref;

use crate::engine::slab::{Local, Place, Slab};

/// See the [module](self). A slab's header lives as long as its engine, so the address stays good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct OwnedSlab(*const Slab);

impl Deref for OwnedSlab {
    type Target = Slab;

    #[inline(always)]
    fn deref(&self) -> &Slab {
        // SAFETY: `new` was given a header, and headers are never unmapped while their engine
        // lives.
        unsafe { &*self.0 }
    }
}

impl OwnedSlab {
    /// The right to the local part of `slab`.
    ///
    /// # Safety
    /// `slab` is a header whose engine outlives the result, and the calling thread may touch its
    /// local part, by the table above, for as long as it uses the result.
    #[inline(always)]
    pub const unsafe fn new(slab: *const Slab) -> OwnedSlab {
        OwnedSlab(slab)
    }

    /// The header's address.
    #[inline(always)]
    pub fn as_ptr(self) -> *const Slab {
        self.0
    }

    /// Runs `f` on the local part. `f` comes from a file of `slab`, and calls nothing that comes
    /// here.
    #[inline(always)]
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Local) -> R) -> R {
        // SAFETY: this thread alone may touch it (`new`), and no two calls overlap: see above.
        unsafe { self.local.with(f) }
    }

    /// As [`with`](Self::with), for a look, which the placeholder allows too.
    #[inline(always)]
    pub(super) fn look<R>(&self, f: impl FnOnce(&Local) -> R) -> R {
        // SAFETY: as in `with`.
        unsafe { self.local.look(f) }
    }

    /// Which list it is on.
    pub fn place(self) -> Place {
        self.look(|local| local.place)
    }

    /// Allocated blocks and those that wait in quarantine; not of a current slab.
    pub fn used(self) -> usize {
        self.look(Local::used)
    }

    /// Blocks on its free list; not of a current slab.
    pub fn free_blocks(self) -> usize {
        self.look(Local::free)
    }

    /// Whether its free list has a block.
    pub fn has_free(self) -> bool {
        self.look(Local::has_free)
    }

    /// Whether blocks can still be carved.
    pub fn has_uncarved(self) -> bool {
        self.look(|local| usize::from(local.carved) < self.capacity())
    }

    /// Whether so few blocks are free that it counts as full, once none can be carved; not of a
    /// current slab.
    pub fn is_nearly_full(self) -> bool {
        self.look(|local| local.used() as i32 > local.wake_at)
    }

    /// Whether memory that was never allocated is zero.
    pub fn is_clean(self) -> bool {
        self.look(|local| local.clean)
    }

    /// The epoch of its biased freer when its last life ended: the low bits.
    pub fn ended_epoch(self) -> u16 {
        self.look(|local| local.ended_epoch)
    }

    /// Moves it to another list, in name. A current slab leaves by
    /// [`leave_current`](Self::leave_current).
    pub fn put(self, place: Place) {
        self.with(|local| local.put(place));
    }

    /// It is the current one, and said that it must move, after very many frees.
    pub fn stay_current(self) {
        self.with(Local::uncount);
    }
}
