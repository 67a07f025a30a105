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
//!
//! # Lists
//! Whoever may touch a [`List`] may touch the local part of every slab on it: a heap's lists hold
//! slabs of that heap, and those under the span lock hold slabs that nobody owns. So what a list
//! gives out is an [`OwnedSlab`].

use core::ops::Deref;
use core::ptr;

use crate::engine::slab::{Links, Local, Place, Slab};

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
        // SAFETY: an `OwnedSlab` is made only where this thread may touch the local part; `f` calls
        // nothing that comes here, so that no two calls overlap.
        unsafe { self.local.with(f) }
    }

    /// As [`with`](Self::with), for a look, which the placeholder allows too.
    #[inline(always)]
    pub(super) fn look<R>(&self, f: impl FnOnce(&Local) -> R) -> R {
        // SAFETY: an `OwnedSlab` is made only where this thread may touch the local part, or for
        // the placeholder, which nobody writes; `f` calls nothing that comes here.
        unsafe { self.local.look(f) }
    }

    /// Runs `f` on its links in its heap's ring.
    pub(super) fn links<R>(&self, f: impl FnOnce(&mut Links) -> R) -> R {
        // SAFETY: whoever may touch the local part, as each maker of an `OwnedSlab` may, may touch
        // the links; `f` calls nothing that comes here.
        unsafe { self.remote.ring.with(f) }
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

    /// Bytes of the blocks that have been carved.
    pub fn carved_bytes(self) -> usize {
        self.look(|local| usize::from(local.carved) * local.size)
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

/// A doubly linked list of slabs, through their local parts.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// The first, or null.
    first: *const Slab,
    /// The last, or null.
    last: *const Slab,
}

/// The slab at a link, unless it is null.
fn linked(slab: *const Slab) -> Option<OwnedSlab> {
    // SAFETY: links lead to slabs of the same list, and whoever may touch a list may touch the
    // local part of each slab on it.
    (!slab.is_null()).then(|| unsafe { OwnedSlab::new(slab) })
}

impl OwnedSlab {
    /// The slab behind it on its list, or in its chain.
    pub fn next(self) -> Option<OwnedSlab> {
        linked(self.look(|local| local.next))
    }

    /// Makes a chain of slabs that are on no list: `next` stands behind it.
    pub fn chain(self, next: Option<OwnedSlab>) {
        self.with(|local| local.next = address_of(next));
    }
}

/// The address that a link to `slab` holds.
fn address_of(slab: Option<OwnedSlab>) -> *const Slab {
    slab.map_or(ptr::null(), OwnedSlab::as_ptr)
}

impl List {
    /// An empty list.
    pub const fn new() -> List {
        List { first: ptr::null(), last: ptr::null() }
    }

    /// The first.
    pub fn first(&self) -> Option<OwnedSlab> {
        linked(self.first)
    }

    /// The last.
    pub fn last(&self) -> Option<OwnedSlab> {
        linked(self.last)
    }

    /// Puts `slab`, which is on no list, in front.
    pub fn push_front(&mut self, slab: OwnedSlab) {
        let first = self.first;
        slab.with(|local| (local.previous, local.next) = (ptr::null(), first));
        match linked(first) {
            None => self.last = slab.as_ptr(),
            Some(first) => first.with(|local| local.previous = slab.as_ptr()),
        }
        self.first = slab.as_ptr();
    }

    /// Puts `slab`, which is on no list, behind.
    pub fn push_back(&mut self, slab: OwnedSlab) {
        let last = self.last;
        slab.with(|local| (local.previous, local.next) = (last, ptr::null()));
        match linked(last) {
            None => self.first = slab.as_ptr(),
            Some(last) => last.with(|local| local.next = slab.as_ptr()),
        }
        self.last = slab.as_ptr();
    }

    /// Makes `slab`, which is on this list, the first, and puts those before it behind the others.
    pub fn rotate_to(&mut self, slab: OwnedSlab) {
        let (Some(first), Some(last)) = (self.first(), self.last()) else { return };
        let Some(before) = linked(slab.look(|local| local.previous)) else { return };
        slab.with(|local| local.previous = ptr::null());
        before.with(|local| local.next = ptr::null());
        last.with(|local| local.next = first.as_ptr());
        first.with(|local| local.previous = last.as_ptr());
        self.last = before.as_ptr();
        self.first = slab.as_ptr();
    }

    /// Takes `slab`, which is on this list, off.
    pub fn remove(&mut self, slab: OwnedSlab) {
        let (previous, next) = slab.look(|local| (local.previous, local.next));
        match linked(previous) {
            None => self.first = next,
            Some(previous) => previous.with(|local| local.next = next),
        }
        match linked(next) {
            None => self.last = previous,
            Some(next) => next.with(|local| local.previous = previous),
        }
    }
}

/// All slabs of a heap in a ring, with a cursor: all can be looked at, a few at a time,
/// whatever lists they move to meanwhile. Whoever may touch it may touch the local part of each
/// slab in it.
pub struct Ring {
    /// Whose turn is next; null in an empty ring.
    cursor: *const Slab,
    /// How many there are.
    pub count: usize,
}

impl Ring {
    /// An empty ring.
    pub const fn new() -> Ring {
        Ring { cursor: ptr::null(), count: 0 }
    }

    /// The slab whose turn is next.
    pub fn first(&self) -> Option<OwnedSlab> {
        // SAFETY: in this ring, and whoever may touch a ring may touch the local part of each slab
        // in it.
        (!self.cursor.is_null()).then(|| unsafe { OwnedSlab::new(self.cursor) })
    }

    /// The slab whose turn it is; then the next one's turn comes.
    pub fn turn(&mut self) -> Option<OwnedSlab> {
        let slab = self.first()?;
        self.cursor = slab.links(|links| links.next);
        Some(slab)
    }

    /// Takes in `slab`, which is in no ring: its turn comes last.
    pub fn add(&mut self, slab: OwnedSlab) {
        let own = slab.as_ptr();
        match self.first() {
            None => {
                slab.links(|links| *links = Links { previous: own, next: own });
                self.cursor = own;
            }
            Some(first) => {
                let last = first.links(|links| core::mem::replace(&mut links.previous, own));
                slab.links(|links| *links = Links { previous: last, next: first.as_ptr() });
                // SAFETY: in this ring, and whoever may touch a ring may touch the local part of
                // each slab in it.
                unsafe { OwnedSlab::new(last) }.links(|links| links.next = own);
            }
        }
        self.count += 1;
    }

    /// Takes `slab`, which is in this ring, out.
    pub fn remove(&mut self, slab: OwnedSlab) {
        let Links { previous, next } = slab.links(|links| core::mem::replace(links, Links::new()));
        self.count -= 1;
        if next == slab.as_ptr() {
            self.cursor = ptr::null();
            return;
        }
        // SAFETY: both are in this ring, and whoever may touch a ring may touch the local part of
        // each slab in it.
        unsafe {
            OwnedSlab::new(previous).links(|links| links.next = next);
            OwnedSlab::new(next).links(|links| links.previous = previous);
        }
        if self.cursor == slab.as_ptr() {
            self.cursor = next;
        }
    }
}
