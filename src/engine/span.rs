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
//! - A record of 32 bytes stands for each unit, apart from it, between two guards that are never free.
//!   The first and the last record of a span say its state and length; the others may be stale.
//! - No two free spans are neighbours. Each is on the list of its length (lengths above [`EXACT`] share one).
//! - `dirty` of a unit says that its pages may be resident and not zero.
//!
//! # Where spans come from, and when they go
//! An arena is reserved when no free span fits: as large as all before it together, between 4 MiB and 1 GiB;
//! when that is refused, half as large, and so on down to what was asked for. Arenas stay, but for those
//! without a used span when the OS refuses something ([`Spans::release_empty`]).
//! Their pages go back when more than the idle bound are dirty and free ([`Spans::bound`]), by half each [`DECAY`]
//! milliseconds that pass, and all at once by [`Spans::purge`].

use core::ptr;

use super::classes::UNIT;
use super::slab::Slab;
use crate::os::Os;

/// Lengths up to this many units have lists of their own.
const EXACT: usize = 64;

/// How many arenas there can be: 1 TiB in arenas of the largest size, and the smaller ones before. Under loom few: its
/// stacks are small.
const ARENAS: usize = if cfg!(loom) { 4 } else { 1088 };

const SMALLEST_ARENA: usize = 64;
const LARGEST_ARENA: usize = 16384;

/// Dirty free units that are never too many: 16 MiB.
const IDLE_UNITS: usize = 256;

/// Milliseconds in which idle dirty memory is halved.
pub const DECAY: u64 = 250;

#[derive(Clone, Copy)]
struct Arena {
    start: usize,
    units: usize,
    /// The record of the first unit; a guard stands before it and behind the last.
    records: *mut Unit,
}

/// The place of an arena that is gone.
const NO_ARENA: Arena = Arena { start: 0, units: 0, records: ptr::null_mut() };

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
    dirty: bool,
}

/// A span that was handed out.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Where it starts.
    pub start: usize,
    /// It holds only zeroes.
    pub clean: bool,
}

/// Arenas, and the free spans in them.
pub struct Spans {
    arenas: [Arena; ARENAS],
    count: usize,
    /// Free spans of 1 to `EXACT` units, by their length less one; the last list holds the longer.
    lists: [*mut Unit; EXACT + 1],
    /// Which of those are not empty, but for the last.
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

    /// A span of `units` units: the shortest free one that holds them, split. `None` when the OS has
    /// no more.
    pub fn allocate<O: Os>(&mut self, os: &O, units: usize) -> Option<Span> {
        let found = match self.best_fit(units) {
            Some(found) => found,
            None => {
                self.grow(os, units)?;
                self.best_fit(units)?
            }
        };
        // SAFETY: a free span's head, and the records of its units follow it.
        unsafe {
            self.unlink(found);
            let length = (*found).length as usize;
            if length > units {
                self.insert(found.add(units), length - units);
            }
            self.mark_used(found, units);
            let mut dirty = 0;
            for unit in 0..units {
                dirty += usize::from((*found.add(unit)).dirty);
            }
            self.free -= units;
            self.dirty -= dirty;
            Some(Span { start: self.address(found), clean: dirty == 0 })
        }
    }

    /// Says which slab the used span at `start` is.
    pub fn name(&mut self, start: usize, slab: *const Slab) {
        let unit = self.unit_at(start).expect("spans lie in arenas");
        // SAFETY: a record of an arena.
        unsafe { (*unit).slab = slab };
    }

    /// Takes back the used span of `units` units at `start`, whose pages may be dirty.
    pub fn free<O: Os>(&mut self, os: &O, start: usize, units: usize, dirty: bool) {
        let unit = self.unit_at(start).expect("spans lie in arenas");
        // SAFETY: the head of a used span of that length; guards stand at both ends of the records, so
        // the records before and behind exist; neighbours that are free are whole spans.
        unsafe {
            if dirty {
                for index in 0..units {
                    (*unit.add(index)).dirty = true;
                }
            }
            for index in 0..units {
                self.dirty += usize::from((*unit.add(index)).dirty);
            }
            self.free += units;
            let (mut head, mut length) = (unit, units);
            (*head).slab = ptr::null();
            let before = unit.sub(1);
            if (*before).free {
                head = unit.sub((*before).length as usize);
                length += (*before).length as usize;
                self.unlink(head);
            }
            let behind = unit.add(units);
            if (*behind).free {
                length += (*behind).length as usize;
                self.unlink(behind);
            }
            self.insert(head, length);
        }
        if self.dirty > self.bound() {
            self.purge(os, self.bound() / 2);
        }
    }

    /// Dirty free units that may wait for their next use: 16 MiB, or an eighth of what is in use.
    pub fn bound(&self) -> usize {
        IDLE_UNITS.max((self.units - self.free) / 8)
    }

    /// Halves what is idle, if [`DECAY`] has passed since that was last done.
    pub fn decay<O: Os>(&mut self, os: &O) {
        let now = os.milliseconds();
        if now - self.decayed >= DECAY {
            let periods = ((now - self.decayed) / DECAY).min(63);
            self.decayed = now;
            let left = self.dirty >> periods;
            self.purge(os, if left < 4 { 0 } else { left });
        }
    }

    /// Gives pages of free units back until at most `left` dirty ones are left, from the longest spans
    /// on. Returns how many units went.
    pub fn purge<O: Os>(&mut self, os: &O, left: usize) -> usize {
        let before = self.dirty;
        'all: for list in (0..=EXACT).rev() {
            let mut span = self.lists[list];
            while !span.is_null() {
                if self.dirty <= left {
                    break 'all;
                }
                // SAFETY: lists hold heads of free spans.
                unsafe {
                    if !self.purge_span(os, span) {
                        break 'all; // refused: no sense in asking on
                    }
                    span = (*span).next;
                }
            }
        }
        let went = before - self.dirty;
        self.purged += went as u64;
        went
    }

    /// # Safety
    /// `head` is that of a free span.
    unsafe fn purge_span<O: Os>(&mut self, os: &O, head: *mut Unit) -> bool {
        // SAFETY: the records of the span follow its head; nobody refers to what is in a free span.
        unsafe {
            let length = (*head).length as usize;
            let mut unit = 0;
            while unit < length {
                let from = unit;
                while unit < length && (*head.add(unit)).dirty {
                    unit += 1;
                }
                if unit == from {
                    unit += 1;
                    continue;
                }
                let start = ptr::with_exposed_provenance_mut(self.address(head) + from * UNIT);
                if !os.decommit(start, (unit - from) * UNIT) {
                    return false;
                }
                for clean in from..unit {
                    (*head.add(clean)).dirty = false;
                }
                self.dirty -= unit - from;
            }
            true
        }
    }

    /// Gives the arenas back in which no span is used. Returns their bytes.
    pub fn release_empty<O: Os>(&mut self, os: &O) -> usize {
        let mut bytes = 0;
        for index in 0..self.count {
            let Arena { start, units, records } = self.arenas[index];
            // SAFETY: the record of the first unit is a span's head.
            let empty =
                units > 0 && unsafe { (*records).free && (*records).length as usize == units };
            if !empty {
                continue;
            }
            // SAFETY: the records are those of one free span, on the list of its length, and both mappings
            // are whole ones of this OS. Records that the OS does not take back are lost.
            unsafe {
                if !os.unmap(ptr::with_exposed_provenance_mut(start), units * UNIT) {
                    continue;
                }
                self.unlink(records);
                self.dirty -= (0..units).filter(|&unit| (*records.add(unit)).dirty).count();
                os.unmap(records.sub(1).cast(), records_bytes(units));
            }
            self.units -= units;
            self.free -= units;
            self.arenas[index] = NO_ARENA;
            bytes += units * UNIT;
        }
        while self.count > 0 && self.arenas[self.count - 1].units == 0 {
            self.count -= 1;
        }
        bytes
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
        for arena in &self.arenas[..self.count] {
            let mut unit = 0;
            while unit < arena.units {
                // SAFETY: the head of a span: spans partition the arena.
                let head = unsafe { &*arena.records.add(unit) };
                f(arena.start + unit * UNIT, head);
                unit += (head.length as usize).max(1);
            }
        }
    }

    /// Whether `address` lies in an arena.
    pub fn contains(&self, address: usize) -> bool {
        self.unit_at(address).is_some()
    }

    /// Walks all arenas and names the first invariant that does not hold.
    pub fn check(&self) -> Result<(), (&'static str, usize)> {
        let (mut free, mut dirty, mut all) = (0, 0, 0);
        let mut broken = None;
        let mut last: Option<(usize, bool)> = None;
        self.each(|address, head| {
            let length = head.length as usize;
            all += length;
            if length == 0 {
                broken = Some(("a span has a length", address));
            }
            if last == Some((address, true)) && head.free {
                broken = Some(("no two free spans are neighbours", address));
            }
            last = Some((address + length * UNIT, head.free));
            if head.free {
                free += length;
                for unit in 0..length {
                    // SAFETY: the records of a span follow its head.
                    dirty += usize::from(unsafe { (*ptr::from_ref(head).add(unit)).dirty });
                }
            }
        });
        if let Some(broken) = broken {
            return Err(broken);
        }
        let mut listed = 0;
        for (list, &first) in self.lists.iter().enumerate() {
            let mut span = first;
            while !span.is_null() {
                // SAFETY: lists hold heads of free spans.
                let (length, is_free, next) =
                    unsafe { ((*span).length as usize, (*span).free, (*span).next) };
                if !is_free || length.min(EXACT + 1) != list + 1 {
                    return Err(("a list holds free spans of its length", span.addr()));
                }
                listed += length;
                span = next;
            }
            if list < EXACT && (self.some >> list & 1 == 1) == first.is_null() {
                return Err(("the bitmap says which lists are empty", list));
            }
        }
        if (all, free, dirty, listed) != (self.units, self.free, self.dirty, self.free) {
            return Err(("the units add up", 0));
        }
        Ok(())
    }

    /// Gives every arena back. Nobody uses a span any more.
    pub fn release<O: Os>(&mut self, os: &O) {
        for arena in self.arenas[..self.count].iter().filter(|arena| arena.units > 0) {
            // SAFETY: whole mappings of this OS; the spans end.
            unsafe {
                os.unmap(ptr::with_exposed_provenance_mut(arena.start), arena.units * UNIT);
                os.unmap(arena.records.sub(1).cast(), records_bytes(arena.units));
            }
        }
        *self = Spans::new();
    }

    /// The free span that fits best: the shortest, and among equals the last freed.
    fn best_fit(&self, units: usize) -> Option<*mut Unit> {
        if units <= EXACT {
            let fitting = self.some >> (units - 1) << (units - 1);
            if fitting != 0 {
                return Some(self.lists[fitting.trailing_zeros() as usize]);
            }
        }
        let mut best: Option<*mut Unit> = None;
        let mut span = self.lists[EXACT];
        while !span.is_null() {
            // SAFETY: lists hold heads of free spans.
            unsafe {
                let length = (*span).length as usize;
                if length >= units && best.is_none_or(|best| length < (*best).length as usize) {
                    best = Some(span);
                }
                span = (*span).next;
            }
        }
        best
    }

    #[cold]
    fn grow<O: Os>(&mut self, os: &O, units: usize) -> Option<()> {
        let place = self.place_for_an_arena()?;
        let mut size = self.units.clamp(SMALLEST_ARENA, LARGEST_ARENA).max(units);
        loop {
            let start = os.reserve(size * UNIT, UNIT);
            if !start.is_null() {
                let records = os.reserve(records_bytes(size), crate::os::PAGE).cast::<Unit>();
                if !records.is_null() {
                    self.add(place, start.expose_provenance(), size, records);
                    return Some(());
                }
                // SAFETY: mapped above, and nobody knows it. If refused, it is lost.
                unsafe { os.unmap(start, size * UNIT) };
            }
            if size == units {
                return None;
            }
            size = (size / 2).max(units);
        }
    }

    fn place_for_an_arena(&self) -> Option<usize> {
        if self.count < ARENAS {
            return Some(self.count);
        }
        self.arenas.iter().position(|arena| arena.units == 0)
    }

    fn add(&mut self, arena: usize, start: usize, units: usize, records: *mut Unit) {
        // SAFETY: `units + 2` zeroed records: a zeroed one is a used span of no length. The first and the last are
        // the guards.
        let records = unsafe {
            for unit in 1..=units {
                (*records.add(unit)).arena = arena as u16;
            }
            records.add(1)
        };
        self.arenas[arena] = Arena { start, units, records };
        self.count = self.count.max(arena + 1);
        self.units += units;
        self.free += units;
        // SAFETY: all its records are there.
        unsafe { self.insert(records, units) };
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
        // SAFETY: as the caller promises.
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
        // SAFETY: as the caller promises; lists hold heads of free spans.
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
        // SAFETY: as the caller promises; its neighbours on the list are heads too.
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
}

/// Bytes that the records of `units` units take, with their guards.
fn records_bytes(units: usize) -> usize {
    ((units + 2) * size_of::<Unit>()).next_multiple_of(crate::os::PAGE)
}

#[cfg(test)]
mod tests;
