//! Spans: runs of 64 KiB units, cut from arenas by best fit. Everything here is under one mutex.
//!
//! ```text
//!  arena     | unit | unit | unit | unit | unit | unit | unit | unit | ...
//!            '-- used span -------'------'-- free span -------'-- used ...
//!
//!  records   |guard | head |      | last | head | last= head  | ...  |guard |
//! ```
//!
//! # Invariants
//! - A record of 32 bytes stands for each unit, apart from it, between two guards that are never
//!   free. The first and the last record of a span say its state and length; the others may be
//!   stale.
//! - No two free spans are neighbours. Each is on the list of its length (lengths above [`EXACT`]
//!   share one).
//! - The record of a used span's first unit names its slab, and no other record names one, except
//!   under the lock: a forked child rebuilds all else from that.
//! - `pages` of a unit says whether its pages may be resident and not zero, and whether blocks ever
//!   lay in them.
//!
//! # Where spans come from, and when they go
//! An arena is reserved when no free span fits: as large as all before it together, between 4 MiB
//! and 1 GiB; when that fails, half as large, and so on down to what was asked for. It is committed
//! by and by, up to the last span that was used ([`Spans::commit`]). Arenas stay,
//! except those without a used span when the OS fails something ([`Spans::release_empty`]). Their
//! pages go back when more than the idle bound are dirty and free ([`Spans::bound`]), by half each
//! [`DECAY`](decay::DECAY) milliseconds that pass, and all at once by [`Spans::purge`].

pub mod allocate;
pub mod arenas;
pub mod check;
pub mod decay;
#[cfg(not(loom))]
mod rebuild;

use core::ptr;

use crate::engine::classes::UNIT;
use crate::engine::slab::Slab;

/// Lengths up to this many units have lists of their own.
const EXACT: usize = 64;

/// How many arenas there can be: 1 TiB in arenas of the largest size, and the smaller ones before.
/// Under loom few: its stacks are small.
const ARENAS: usize = if cfg!(loom) { 4 } else { 1088 };

#[derive(Clone, Copy)]
struct Arena {
    start: usize,
    units: usize,
    /// So many of them, from the first, may be touched.
    committed: usize,
    /// The record of the first unit; a guard stands before it and behind the last.
    records: *mut Unit,
}

/// The place of an arena that is gone.
const NO_ARENA: Arena = Arena { start: 0, units: 0, committed: 0, records: ptr::null_mut() };

/// What a unit's pages hold when the span is allocated.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Pages {
    /// Zeroes, from the first: a zeroed record says so.
    Untouched = 0,
    /// Zeroes again: they went back to the OS after they were used, or no block was written to.
    Cleared,
    /// They may be resident and not zero.
    Dirty,
}

/// What is known of a unit.
struct Unit {
    /// Of a used span's head: its slab.
    slab: *const Slab,
    /// Of a free span's head: its neighbours on its list.
    previous: *mut Unit,
    next: *mut Unit,
    /// Units of the span.
    length: u32,
    arena: u16,
    free: bool,
    pages: Pages,
}

impl Unit {
    fn is_dirty(&self) -> bool {
        self.pages == Pages::Dirty
    }
}

/// An allocated span.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Where it starts.
    pub start: usize,
    /// It holds only zeroes.
    pub clean: bool,
}

/// Arenas, and the free spans in them.
///
/// ```text
/// units = sum of the arenas' units = units of used spans + free
/// free  = units of all spans on the lists        dirty = those of them that are dirty
/// ```
pub struct Spans {
    arenas: [Arena; ARENAS],
    count: usize,
    /// Free spans of 1 to `EXACT` units, by their length less one; the last list holds the longer.
    lists: [*mut Unit; EXACT + 1],
    /// Which of those are not empty, except the last.
    some: u64,
    /// Units of all arenas.
    pub units: usize,
    /// Units of free spans.
    pub free: usize,
    /// Those of them that are dirty.
    pub dirty: usize,
    /// When decay was last at work, in milliseconds.
    pub decayed: u64,
    /// Units whose pages went back, ever.
    pub purged: u64,
}

// SAFETY: the pointers are to memory of the spans' own, which belongs to no thread.
unsafe impl Send for Spans {}

impl Spans {
    /// No arena yet.
    pub const fn new() -> Spans {
        Spans {
            arenas: [NO_ARENA; ARENAS],
            count: 0,
            lists: [ptr::null_mut(); EXACT + 1],
            some: 0,
            units: 0,
            free: 0,
            dirty: 0,
            decayed: 0,
            purged: 0,
        }
    }

    /// Says which slab the used span at `start` is.
    pub fn name(&mut self, start: usize, slab: *const Slab) {
        let unit = self.unit_at(start).expect("spans lie in arenas");
        // SAFETY: a record of an arena.
        unsafe { (*unit).slab = slab };
    }

    /// The record of the unit at `address`, if that is in an arena.
    fn unit_at(&self, address: usize) -> Option<*mut Unit> {
        // The newest arena is the largest, or nearly: look there first.
        let arena = self.arenas[..self.count]
            .iter()
            .rev()
            .find(|arena| address.wrapping_sub(arena.start) < arena.units * UNIT)?;
        // SAFETY: a unit of the arena.
        Some(unsafe { arena.records.add((address - arena.start) / UNIT) })
    }

    fn address(&self, unit: *mut Unit) -> usize {
        // SAFETY: a record of an arena.
        let arena = &self.arenas[usize::from(unsafe { (*unit).arena })];
        // SAFETY: both are records of the same arena.
        arena.start + unsafe { unit.offset_from(arena.records) } as usize * UNIT
    }

    /// # Safety
    /// The `length` records from `head` on are a span.
    unsafe fn mark_used(&mut self, head: *mut Unit, length: usize) {
        // SAFETY: the records of a span.
        unsafe {
            let last = head.add(length - 1);
            for end in [head, last] {
                (*end).free = false;
                (*end).length = length as u32;
            }
            (*head).slab = ptr::null();
        }
    }

    /// Lists the span as free.
    ///
    /// # Safety
    /// The `length` records from `head` on are a span, and on no list.
    unsafe fn insert(&mut self, head: *mut Unit, length: usize) {
        let list = (length - 1).min(EXACT);
        let first = self.lists[list];
        // SAFETY: the records of a span; lists hold heads of free spans.
        unsafe {
            let last = head.add(length - 1);
            for end in [head, last] {
                (*end).free = true;
                (*end).length = length as u32;
            }
            (*head).previous = ptr::null_mut();
            (*head).next = first;
            if !first.is_null() {
                (*first).previous = head;
            }
        }
        self.lists[list] = head;
        if list < EXACT {
            self.some |= 1 << list;
        }
    }

    /// # Safety
    /// `head` is that of a free span.
    unsafe fn unlink(&mut self, head: *mut Unit) {
        // SAFETY: a free span's head; its neighbours on the list are heads too.
        unsafe {
            let list = ((*head).length as usize - 1).min(EXACT);
            let (previous, next) = ((*head).previous, (*head).next);
            if previous.is_null() {
                self.lists[list] = next;
                if next.is_null() && list < EXACT {
                    self.some &= !(1 << list);
                }
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
        }
    }

    /// Whether a span that held `address` was ever freed: blocks may have lain there.
    pub fn was_used(&self, address: usize) -> bool {
        // SAFETY: a record of an arena.
        self.unit_at(address).is_some_and(|unit| unsafe { (*unit).pages != Pages::Untouched })
    }

    /// Whether a used span holds `address`. It walks the arena.
    pub fn is_used(&self, address: usize) -> bool {
        let around = |arena: &&Arena| address.wrapping_sub(arena.start) < arena.units * UNIT;
        let mut found = false;
        if let Some(arena) = self.arenas[..self.count].iter().find(around) {
            Self::each_in(arena, |start, unit| {
                let bytes = unit.length as usize * UNIT;
                found |= !unit.free && address.wrapping_sub(start) < bytes;
            });
        }
        found
    }

    /// Calls `f` with the start, length in units and slab of every used span.
    pub fn each_used(&self, mut f: impl FnMut(usize, usize, *const Slab)) {
        self.each(|address, unit| {
            if !unit.free {
                f(address, unit.length as usize, unit.slab);
            }
        });
    }

    fn each(&self, mut f: impl FnMut(usize, &Unit)) {
        self.arenas[..self.count].iter().for_each(|arena| Self::each_in(arena, &mut f));
    }

    fn each_in(arena: &Arena, mut f: impl FnMut(usize, &Unit)) {
        let mut unit = 0;
        while unit < arena.units {
            // SAFETY: the head of a span: spans partition the arena.
            let head = unsafe { &*arena.records.add(unit) };
            f(arena.start + unit * UNIT, head);
            unit += (head.length as usize).max(1);
        }
    }
}

#[cfg(test)]
mod tests;
