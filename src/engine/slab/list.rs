//! Lists of slabs.
//!
//! Whoever may touch a list may touch the local part of every slab on it: a heap's lists hold slabs
//! of that heap, and those under the span lock hold slabs that nobody owns. So what a list gives
//! out is an [`OwnedSlab`].

use core::ptr;

use crate::engine::slab::Slab;
use crate::engine::slab::owned::OwnedSlab;

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
    // SAFETY: links lead to slabs of the same list, which the caller may touch: see the module.
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
