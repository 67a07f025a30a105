//! Lists of slabs.

use core::{mem, ptr};

use crate::engine::slab::Slab;

/// A doubly linked list of slabs, through [`Local`](super::slab::Local).
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// The first, or null.
    pub first: *const Slab,
    /// The last, or null.
    pub last: *const Slab,
}

impl List {
    /// An empty list.
    pub const fn new() -> List {
        List { first: ptr::null(), last: ptr::null() }
    }

    /// Puts `slab` in front.
    ///
    /// # Safety
    /// The caller may touch the local part of `slab`, which is on no list, and of every slab on this one.
    pub unsafe fn push_front(&mut self, slab: *const Slab) {
        // SAFETY: as the caller promises; listed slabs live for ever.
        unsafe {
            let first = self.first;
            (*slab).local.with(|local| (local.previous, local.next) = (ptr::null(), first));
            match first.is_null() {
                true => self.last = slab,
                false => (*first).local.with(|local| local.previous = slab),
            }
        }
        self.first = slab;
    }

    /// Puts `slab` behind.
    ///
    /// # Safety
    /// As [`push_front`](Self::push_front).
    pub unsafe fn push_back(&mut self, slab: *const Slab) {
        // SAFETY: as the caller promises; listed slabs live for ever.
        unsafe {
            let last = self.last;
            (*slab).local.with(|local| (local.previous, local.next) = (last, ptr::null()));
            match last.is_null() {
                true => self.first = slab,
                false => (*last).local.with(|local| local.next = slab),
            }
        }
        self.last = slab;
    }

    /// Makes `slab` the first, and puts those before it behind the others. Null: nothing happens.
    ///
    /// # Safety
    /// `slab`, unless null, is on this list, and the caller may touch the local part of every slab on it.
    pub unsafe fn rotate_to(&mut self, slab: *const Slab) {
        if slab.is_null() || slab == self.first {
            return;
        }
        let (first, last) = (self.first, self.last);
        // SAFETY: as the caller promises; `slab` has one before it.
        unsafe {
            let before = (*slab).local.with(|local| mem::replace(&mut local.previous, ptr::null()));
            (*before).local.with(|local| local.next = ptr::null());
            (*last).local.with(|local| local.next = first);
            (*first).local.with(|local| local.previous = last);
            self.last = before;
        }
        self.first = slab;
    }

    /// Takes `slab` off.
    ///
    /// # Safety
    /// `slab` is on this list, and the caller may touch the local part of every slab on it.
    pub unsafe fn remove(&mut self, slab: *const Slab) {
        // SAFETY: as the caller promises.
        unsafe {
            let (previous, next) = (*slab).local.with(|local| (local.previous, local.next));
            match previous.is_null() {
                true => self.first = next,
                false => (*previous).local.with(|local| local.next = next),
            }
            match next.is_null() {
                true => self.last = previous,
                false => (*next).local.with(|local| local.previous = previous),
            }
        }
    }
}
