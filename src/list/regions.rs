//! The heap's mappings: which addresses are its own, and which have lately been.
//!
//! Every pointer that a caller hands in is looked up here before a byte near it is read.
//!
//! Invariants: the table is sorted by `start`; its mappings do not overlap, and no grave overlaps
//! one.

use core::ptr;

use crate::os::{Os, PAGE};

/// A mapping of the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The first byte.
    pub start: usize,
    /// Bytes, a multiple of [`PAGE`].
    pub bytes: usize,
    /// What is in it.
    pub kind: Kind,
}

/// What a mapping is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A row of blocks.
    Region,
    /// One block, from this address to the mapping's end.
    Huge(usize),
    /// Nothing: the OS failed to take it back. `trim` tries again.
    Stranded(usize),
}

impl Mapping {
    /// The address behind the last byte.
    pub fn end(&self) -> usize {
        self.start + self.bytes
    }

    fn contains(&self, address: usize) -> bool {
        self.start <= address && address < self.end()
    }
}

/// The table of mappings, in a mapping of its own that doubles as needed.
#[derive(Debug)]
pub struct Regions {
    table: *mut Mapping,
    length: usize,
    capacity: usize,
    /// Index of the mapping found last: the next question is likely to be about the same one.
    last: usize,
    graves: Graves,
}

impl Regions {
    pub const fn new() -> Regions {
        Regions {
            table: ptr::null_mut(),
            length: 0,
            capacity: 0,
            last: 0,
            graves: Graves {
                ring: [const { Grave { start: 0, bytes: 0, block: None } }; GRAVES],
                next: 0,
            },
        }
    }

    /// All mappings, by address.
    pub fn all(&self) -> &[Mapping] {
        if self.table.is_null() {
            return &[];
        }
        // SAFETY: the table is mapped, aligned (to a page), and its first
        // `length` entries are written; `&self` keeps writers away.
        unsafe { core::slice::from_raw_parts(self.table, self.length) }
    }

    /// The mapping that `address` is in.
    #[inline]
    pub fn find(&mut self, address: usize) -> Option<Mapping> {
        if let Some(mapping) = self.all().get(self.last).filter(|mapping| mapping.contains(address))
        {
            return Some(*mapping);
        }
        let index =
            self.all().partition_point(|mapping| mapping.start <= address).checked_sub(1)?;
        let mapping = self.all()[index];
        self.last = index;
        mapping.contains(address).then_some(mapping)
    }

    /// Bytes of the table's own mapping.
    pub fn table_bytes(&self) -> usize {
        self.capacity * size_of::<Mapping>()
    }

    /// Bytes by which the table's mapping must grow before one more entry fits: 0 when it fits now.
    pub fn growth_for_one(&self) -> usize {
        match self.capacity {
            capacity if self.length < capacity => 0,
            0 => FIRST_TABLE,
            _ => self.table_bytes(),
        }
    }

    /// Makes room for one more entry. False when the OS has no memory.
    pub fn reserve_one(&mut self, os: &impl Os) -> bool {
        let growth = self.growth_for_one();
        if growth == 0 {
            return true;
        }
        let (old, new) = (self.table_bytes(), self.table_bytes() + growth);
        let table = if self.table.is_null() {
            os.map(new)
        } else {
            // SAFETY: the table is the whole of its mapping, and only this struct refers to it.
            unsafe { os.remap(self.table.cast(), old, new, true) }
        };
        if table.is_null() {
            return false;
        }
        self.table = table.cast();
        self.capacity = new / size_of::<Mapping>();
        true
    }

    /// Enters a new mapping, for which [`Self::reserve_one`] has made room.
    pub fn insert(&mut self, mapping: Mapping) {
        debug_assert!(self.length < self.capacity);
        self.graves.reopen(mapping.start, mapping.bytes);
        let index = self.all().partition_point(|other| other.start < mapping.start);
        // SAFETY: `length < capacity`, so the entries from `index` on can move up by one within the
        // table; `index <= length`.
        unsafe {
            let place = self.table.add(index);
            ptr::copy(place, place.add(1), self.length - index);
            ptr::write(place, mapping);
        }
        self.length += 1;
        self.last = index;
    }

    /// Replaces the entry of the mapping that starts at `start` by one at the same place in the
    /// order.
    pub fn replace(&mut self, start: usize, mapping: Mapping) {
        let index = self.index_of(start);
        // SAFETY: `index_of` returns an index below `length`.
        unsafe { ptr::write(self.table.add(index), mapping) };
    }

    /// Removes the entry of the mapping that starts at `start`.
    pub fn remove(&mut self, start: usize) {
        let index = self.index_of(start);
        // SAFETY: `index < length`: the entries behind it move down by one.
        unsafe {
            let place = self.table.add(index);
            ptr::copy(place.add(1), place, self.length - index - 1);
        }
        self.length -= 1;
    }

    /// Remembers that what was mapped there has gone back; `block` when it held that one block.
    pub fn bury(&mut self, start: usize, bytes: usize, block: Option<usize>) {
        let block = block.map(|block| (block, start + bytes - block));
        self.graves.dig(Grave { start, bytes, block });
    }

    /// What lately lay at `address`, if it was this heap's.
    pub fn grave_at(&self, address: usize) -> Option<Grave> {
        self.graves
            .ring
            .iter()
            .find(|grave| address.wrapping_sub(grave.start) < grave.bytes)
            .copied()
    }

    /// Gives the table itself back. The mappings it lists are the caller's to give back before.
    pub fn release_table(&mut self, os: &impl Os) {
        if !self.table.is_null() {
            // SAFETY: the table is the whole of its mapping, and is not used again: all is reset.
            // If the OS fails, the mapping leaks; there is nobody to report it to.
            unsafe { os.unmap(self.table.cast(), self.table_bytes()) };
        }
        *self = Regions::new();
    }

    fn index_of(&self, start: usize) -> usize {
        let index = self.all().partition_point(|mapping| mapping.start < start);
        debug_assert_eq!(self.all()[index].start, start);
        index
    }
}

/// Bytes of the first table.
const FIRST_TABLE: usize = PAGE;
const _: () =
    assert!(size_of::<Mapping>().is_power_of_two(), "tables of whole pages have no remainder");

/// How many mappings that went back are remembered. Older ones are forgotten: a free into one of
/// them is then reported as a foreign pointer instead of as a double free. Under loom few, for its
/// threads have small stacks, on which a heap is made.
const GRAVES: usize = if cfg!(loom) { 4 } else { 256 };

/// A mapping that has gone back to the OS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grave {
    start: usize,
    bytes: usize,
    /// The one block it held, if it held one: its address, and its usable bytes.
    pub block: Option<(usize, usize)>,
}

#[derive(Debug)]
struct Graves {
    ring: [Grave; GRAVES],
    next: usize,
}

impl Graves {
    fn dig(&mut self, grave: Grave) {
        let free = self.ring.iter().position(|grave| grave.bytes == 0);
        let place = free.unwrap_or(self.next);
        if free.is_none() {
            self.next = (self.next + 1) % GRAVES;
        }
        self.ring[place] = grave;
    }

    /// The OS has handed the place out again: what lay there is of no account any more. Of a grave
    /// that reaches beyond it, what is in front is kept, else what is behind.
    fn reopen(&mut self, start: usize, bytes: usize) {
        let end = start + bytes;
        for grave in &mut self.ring {
            let grave_end = grave.start + grave.bytes;
            if grave.start >= end || start >= grave_end {
                continue;
            }
            if grave.start < start {
                grave.bytes = start - grave.start;
            } else {
                grave.bytes = grave_end.saturating_sub(end);
                grave.start = end;
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn grave_of(regions: &Regions, address: usize) -> Option<(usize, usize)> {
        regions.grave_at(address).and_then(|grave| grave.block)
    }

    #[test]
    fn a_grave_is_cut_to_what_is_not_mapped_again() {
        for (start, bytes, kept, gone) in [
            (0x5000, 0x1000, 0x4FFF, 0x5000), // over the end
            (0x0000, 0x3000, 0x3000, 0x2FFF), // over the start
            (0x4000, 0x1000, 0x3FFF, 0x5000), // within: the front is kept
        ] {
            let mut regions = Regions::new();
            regions.bury(0x2000, 0x4000, Some(0x2000));
            regions.graves.reopen(start, bytes);
            assert_eq!(grave_of(&regions, kept), Some((0x2000, 0x4000)));
            assert_eq!(grave_of(&regions, gone), None);
        }
        let mut regions = Regions::new();
        regions.bury(0x2000, 0x4000, None);
        regions.graves.reopen(0x1000, 0x6000);
        assert!((0..0x9000).all(|address| regions.grave_at(address).is_none()));
    }

    #[test]
    fn mappings_at_one_place_use_up_one_grave() {
        let mut regions = Regions::new();
        regions.bury(0x10_0000, 0x1000, Some(0x10_0000));
        for _ in 0..10 * GRAVES {
            regions.graves.reopen(0x20_0000, 0x1000);
            regions.bury(0x20_0000, 0x1000, Some(0x20_0000));
        }
        assert!(grave_of(&regions, 0x10_0000).is_some());
        for place in 1..=GRAVES {
            regions.bury(0x100_0000 * place, 0x1000, None);
        }
        assert!(grave_of(&regions, 0x10_0000).is_none(), "the oldest is forgotten");
    }
}
