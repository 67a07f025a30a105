//! The pool: slots for guarded blocks, and between them pages that nobody can ever touch.
//!
//! ```text
//!  │ guard │  slot 0         │ guard │  slot 1         │ guard │ …
//!          │ ....... │ block │       │ block │ ....... │
//!                     ▲ at the slot's end: an overflow faults, at its start: an underflow does
//! ```
//!
//! Only the pages of a live block can be touched. A slot that was used longest ago is used again
//! first, so what was freed stays untouchable for as long as there are others.
//!
//! | state | pages | left by |
//! |---|---|---|
//! | `Unused` | none | `allocate` |
//! | `Live` | the block's | `free` |
//! | `Freed` | none | `allocate`, of another block |
//! | `Busy` | unknown | the call that is at it; never, if its thread vanished in a fork, or the OS failed |
//!
//! ```text
//! live_blocks, live_bytes = sums over the slots that are Live
//! free[first..first + count] = the slots that are Unused or Freed, the one freed longest ago first
//! ```

use core::ptr;

use crate::misuse::{BlockState, Found, Misuse, MisuseKind};
use crate::os::{Mmap, Os, PAGE, STEP};
use crate::sync::step;

use super::beside::Beside;
use super::stack::{Stack, is_readable};

/// Slots.
const SLOTS: usize = 256;
/// The kernel's pages of a slot, and so of the largest block. One more lies between two slots.
const PAGES: usize = 4;
/// Each block's address is a multiple of this, as malloc promises.
const MIN_ALIGN: usize = 16;

/// A thread's allocation or free.
pub struct Event {
    /// The kernel's number for the thread.
    pub thread: i64,
    pub stack: Stack,
}

impl Event {
    /// Makes it one of the calling thread, whose stack is at `top`.
    fn fill(&mut self, top: usize) {
        self.thread = Event::thread();
        self.stack.fill(0, top);
    }

    /// The kernel's number for the calling thread.
    pub fn thread() -> i64 {
        // SAFETY: gettid takes nothing and cannot fail.
        unsafe { libc::syscall(libc::SYS_gettid) }
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Nothing yet.
    Unused = 0,
    /// A block.
    Live,
    /// A block that was freed.
    Freed,
    /// A block that is just being allocated or freed.
    Busy,
}

/// A slot. All zeroes are one that is unused.
pub struct Slot {
    pub state: State,
    /// Where its block starts, and how many bytes it has.
    pub block: usize,
    pub size: usize,
    /// The pages that can be touched while it is live.
    pages: (usize, usize),
    /// The number of its free, in the order of all frees.
    turn: u64,
    pub allocated: Event,
    pub freed: Event,
}

impl Slot {
    /// The rest of a live block's pages.
    fn beside(&self) -> Beside {
        let (first, end) = self.pages;
        Beside { before: (first, self.block), behind: (self.block + self.size, end) }
    }

    /// What somebody wrote there.
    fn overwritten(&self) -> Option<Misuse> {
        Some(Misuse {
            kind: MisuseKind::OutOfBounds,
            address: self.beside().changed()?,
            size: Some(self.size),
            state: BlockState::Live,
            found: Found::Late,
        })
    }
}

/// What a free came to.
pub struct Freed {
    /// Somebody wrote beside the block.
    pub overwritten: Option<Misuse>,
}

/// See the [module](self).
pub struct Pool {
    start: usize,
    /// Null until [`reserve`](Self::reserve).
    slots: *mut Slot,
    page: usize,
    /// Frees so far.
    turns: u64,
    /// A ring of numbers, which wrap as its places do.
    free: [u8; SLOTS],
    first: u8,
    count: usize,
    live_blocks: usize,
    live_bytes: usize,
}

impl Pool {
    /// None.
    pub const fn new() -> Pool {
        Pool {
            start: 0,
            slots: ptr::null_mut(),
            page: PAGE,
            turns: 0,
            free: [0; SLOTS],
            first: 0,
            count: 0,
            live_blocks: 0,
            live_bytes: 0,
        }
    }

    /// A pool without a block. `None` where the OS fails.
    pub fn reserve() -> Option<Pool> {
        let slots = Mmap.reserve_guarded(bytes_of_slots(), PAGE).cast::<Slot>();
        if slots.is_null() {
            return None;
        }
        let page = Mmap.page_bytes();
        let start = Mmap.reserve_bare(bytes_of_pool(page), page).expose_provenance();
        if start == 0 {
            // SAFETY: reserved above, and nobody knows it.
            unsafe { Mmap.unmap_guarded(slots.cast(), bytes_of_slots()) };
            return None;
        }
        // The table's zeroes are unused slots: a short process touches few of them.
        let free = core::array::from_fn(|number| number as u8);
        Some(Pool { start, slots, page, free, count: SLOTS, ..Pool::new() })
    }

    /// Where it starts, and how many bytes it has.
    pub fn range(&self) -> (usize, usize) {
        (self.start, bytes_of_pool(self.page))
    }

    /// Whether a block of `size` bytes at `align` can lie in a slot.
    fn takes(&self, size: usize, align: usize) -> bool {
        size <= self.room() && align <= self.page
    }

    /// Live blocks, and their bytes.
    pub fn live(&mut self) -> (usize, usize) {
        (self.live_blocks, self.live_bytes)
    }

    /// Makes a block, for a thread whose stack is at `top`. `None` where all slots are live, the
    /// block has no room in one, or the OS fails.
    pub fn allocate(
        &mut self,
        size: usize,
        align: usize,
        top: usize,
        random: usize,
    ) -> Option<*mut u8> {
        if !self.takes(size, align) || self.count == 0 {
            return None;
        }
        let number = usize::from(self.free[usize::from(self.first)]);
        let (start, page, room) = (self.start_of(number), self.page, self.room());
        // At the end three times of four: overflows are what most programs do wrong.
        let block = match random.is_multiple_of(4) {
            true => start,
            false => (start + room - size.max(1)) & !(align - 1),
        };
        let first = block & !(page - 1);
        let end = (block + size.max(1)).next_multiple_of(page);
        // SAFETY: pages of a slot without a live block: nobody else's.
        if !unsafe { Mmap.commit(at(first), end - first) } {
            return None;
        }
        (self.first, self.count) = (self.first.wrapping_add(1), self.count - 1);
        let slot = self.slot(number);
        slot.state = State::Busy;
        step();
        (slot.block, slot.size, slot.pages) = (block, size, (first, end));
        slot.allocated.fill(top);
        slot.beside().fill();
        step();
        slot.state = State::Live;
        self.live_blocks += 1;
        self.live_bytes += size;
        Some(at(block))
    }

    /// Frees the block at `address`, which lies in the pool, for a thread whose stack is at `top`.
    ///
    /// # Safety
    /// If it is a live block, nothing uses it after this call.
    pub unsafe fn free(&mut self, address: usize, top: usize) -> Result<Freed, Misuse> {
        let size = self.size(address)?;
        self.turns += 1;
        let turn = self.turns;
        let slot = self.around(address);
        let overwritten = slot.overwritten();
        slot.state = State::Busy;
        step();
        let (first, end) = slot.pages;
        slot.turn = turn;
        slot.freed.fill(top);
        step();
        // Where the OS fails, the slot is lost: its pages may not be zero.
        // SAFETY: the block's pages, which its owner has given up.
        if unsafe { Mmap.close(at(first), end - first) } {
            slot.state = State::Freed;
            self.put(self.number_of(address));
        }
        self.live_blocks -= 1;
        self.live_bytes -= size;
        Ok(Freed { overwritten })
    }

    /// Bytes of the live block at `address`, which lies in the pool.
    pub fn size(&mut self, address: usize) -> Result<usize, Misuse> {
        let slot = self.around(address);
        let (kind, size, state) = match slot.state {
            State::Live if slot.block == address => return Ok(slot.size),
            _ if !address.is_multiple_of(MIN_ALIGN) => {
                (MisuseKind::UnalignedPointer, None, BlockState::Unknown)
            }
            State::Unused | State::Busy => (MisuseKind::ForeignPointer, None, BlockState::Unknown),
            State::Freed if slot.block == address => {
                (MisuseKind::DoubleFree, Some(slot.size), BlockState::Free)
            }
            state => {
                let live = if state == State::Live { BlockState::Live } else { BlockState::Free };
                let inside = address.wrapping_sub(slot.block) < slot.size;
                match inside {
                    true => (MisuseKind::InteriorPointer, Some(slot.size), live),
                    false => (MisuseKind::ForeignPointer, None, BlockState::Unknown),
                }
            }
        };
        Err(Misuse { kind, address, size, state, found: Found::AtCall })
    }

    /// The slot that `address` lies in; between two, the one on whose side it is.
    pub fn around(&mut self, address: usize) -> &mut Slot {
        self.slot(self.number_of(address))
    }

    fn number_of(&self, address: usize) -> usize {
        let apart = self.page + self.room();
        ((address - self.start).saturating_sub(self.page / 2) / apart).min(SLOTS - 1)
    }

    /// The slot that an access at `address` was about: the one whose block is closest, of those
    /// around it.
    pub fn closest(&mut self, address: usize) -> &mut Slot {
        let apart = self.page + self.room();
        let number = (address - self.start) / apart;
        let distance = |slot: &Slot| match slot.state {
            State::Live | State::Freed if address < slot.block => slot.block - address,
            State::Live | State::Freed => address.saturating_sub(slot.block + slot.size),
            State::Unused | State::Busy => usize::MAX,
        };
        let (mut closest, mut least) = (number.min(SLOTS - 1), usize::MAX);
        for near in number.saturating_sub(2)..=(number + 1).min(SLOTS - 1) {
            let distance = distance(self.slot(near));
            if distance < least {
                (closest, least) = (near, distance);
            }
        }
        self.slot(closest)
    }

    /// Makes the sums and the ring anew.
    pub fn recount(&mut self) {
        let (mut blocks, mut bytes) = (0, 0);
        self.count = 0;
        for number in 0..SLOTS {
            let slot = self.slot(number);
            if slot.state == State::Live {
                blocks += 1;
                bytes += slot.size;
            }
        }
        (self.live_blocks, self.live_bytes) = (blocks, bytes);
        // By the turns of their frees; the slots that were never used have none.
        let mut least = 0;
        while let Some((turn, number)) = self.freed_from(least) {
            self.put(number);
            least = (turn << 8 | number as u64) + 1;
        }
    }

    /// Of the slots without a block, the one with the least turn and number, and its turn. Both
    /// are put into one number, and those below `least` are left out.
    fn freed_from(&mut self, least: u64) -> Option<(u64, usize)> {
        let mut found: Option<(u64, usize)> = None;
        for number in 0..SLOTS {
            let slot = self.slot(number);
            let turn = slot.turn;
            let free = matches!(slot.state, State::Unused | State::Freed);
            let sooner = found.is_none_or(|(other, _)| turn < other);
            if free && (turn << 8 | number as u64) >= least && sooner {
                found = Some((turn, number));
            }
        }
        found
    }

    /// Puts a slot behind the others that have no block.
    fn put(&mut self, number: usize) {
        let place = self.first.wrapping_add(self.count as u8);
        self.free[usize::from(place)] = number as u8;
        self.count += 1;
    }

    fn start_of(&self, number: usize) -> usize {
        self.start + self.page + number * (self.room() + self.page)
    }

    /// Bytes of a slot.
    fn room(&self) -> usize {
        PAGES * self.page
    }

    /// Hands the byte beside each live block that somebody wrote to `found`.
    pub fn judge(&mut self, mut found: impl FnMut(Misuse)) {
        for number in 0..SLOTS {
            let slot = self.slot(number);
            // Unless the program has forbidden its pages.
            if slot.state == State::Live
                && is_readable(slot.pages.0)
                && is_readable(slot.pages.1 - size_of::<u64>())
                && let Some(misuse) = slot.overwritten()
            {
                // Once: it is mended.
                slot.beside().fill();
                found(misuse);
            }
        }
    }

    fn slot(&mut self, number: usize) -> &mut Slot {
        debug_assert!(number < SLOTS);
        // SAFETY: a slot of the table, which lives as long as the process, and is reached through
        // the guard's lock alone; the result borrows the pool.
        unsafe { &mut *self.slots.add(number) }
    }
}

/// Bytes of the pool: a guard before each slot, and one behind the last.
fn bytes_of_pool(page: usize) -> usize {
    page + SLOTS * (PAGES + 1) * page
}

fn bytes_of_slots() -> usize {
    (SLOTS * size_of::<Slot>()).next_multiple_of(STEP)
}

/// A pointer to `address`, which lies in the pool.
fn at(address: usize) -> *mut u8 {
    ptr::with_exposed_provenance_mut(address)
}

#[cfg(test)]
mod tests {
    use super::super::stack;
    use super::*;

    fn free(pool: &mut Pool, block: *mut u8) -> Result<Freed, Misuse> {
        // SAFETY: the tests touch no block that they have freed.
        unsafe { pool.free(block.addr(), stack::top()) }
    }

    fn allocate(pool: &mut Pool, size: usize, random: usize) -> Option<*mut u8> {
        pool.allocate(size, 16, stack::top(), random)
    }

    #[test]
    fn a_block_lies_at_either_end_of_its_slot_and_is_zero() {
        let mut pool = Pool::reserve().unwrap();
        for size in [0, 1, 16, 100, 4096, 5000, pool.room()] {
            for random in [0, 1] {
                let block = allocate(&mut pool, size, random).unwrap();
                let end = (block.addr() + size.max(1)).next_multiple_of(16);
                let edge = if random == 0 { block.addr() } else { end };
                assert!(edge.is_multiple_of(PAGE), "{size} bytes at {block:p}");
                for byte in 0..size {
                    // SAFETY: a byte of the live block.
                    assert_eq!(unsafe { block.add(byte).read() }, 0);
                }
                assert_eq!(pool.size(block.addr()), Ok(size));
                assert!(free(&mut pool, block).unwrap().overwritten.is_none());
            }
        }
        assert_eq!(pool.live(), (0, 0));
    }

    #[test]
    fn the_slot_freed_longest_ago_is_next_and_live_ones_never_are() {
        let mut pool = Pool::reserve().unwrap();
        let blocks: Vec<_> = (0..SLOTS).map(|_| allocate(&mut pool, 64, 0).unwrap()).collect();
        assert_eq!(pool.live(), (SLOTS, 64 * SLOTS));
        assert!(allocate(&mut pool, 64, 0).is_none(), "all are live");
        for place in [7, 3, 200] {
            free(&mut pool, blocks[place]).unwrap();
        }
        for place in [7, 3, 200] {
            assert_eq!(allocate(&mut pool, 64, 0), Some(blocks[place]));
        }
        for place in [90, 5, 91] {
            free(&mut pool, blocks[place]).unwrap();
        }
        pool.recount();
        assert_eq!(pool.live(), (SLOTS - 3, 64 * (SLOTS - 3)));
        for place in [90, 5, 91] {
            assert_eq!(allocate(&mut pool, 64, 0), Some(blocks[place]));
        }
    }

    #[test]
    fn a_pointer_that_is_no_live_block_is_named() {
        let mut pool = Pool::reserve().unwrap();
        let block = allocate(&mut pool, 100, 1).unwrap();
        let kind = |pool: &mut Pool, address| pool.size(address).unwrap_err().kind;
        assert_eq!(kind(&mut pool, block.addr() + 16), MisuseKind::InteriorPointer);
        assert_eq!(kind(&mut pool, block.addr() + 4096), MisuseKind::ForeignPointer);
        let (start, bytes) = pool.range();
        assert_eq!(kind(&mut pool, start), MisuseKind::ForeignPointer);
        assert_eq!(kind(&mut pool, start + bytes - 16), MisuseKind::ForeignPointer);
        assert_eq!(kind(&mut pool, block.addr() + 1), MisuseKind::UnalignedPointer);
        free(&mut pool, block).unwrap();
        assert_eq!(kind(&mut pool, block.addr()), MisuseKind::DoubleFree);
        assert_eq!(free(&mut pool, block).err().unwrap().size, Some(100));
    }

    #[test]
    fn the_first_byte_that_was_written_beside_a_block_is_found() {
        let mut pool = Pool::reserve().unwrap();
        for (random, offset) in
            [(0, 100), (0, 103), (0, 4095), (1, 104), (1, -1), (1, -9), (1, -3900)]
        {
            let block = allocate(&mut pool, 100, random).unwrap();
            let outside = block.wrapping_offset(offset);
            // SAFETY: a byte of the block's page, which is nobody else's.
            unsafe { outside.write(1) };
            let misuse = free(&mut pool, block).unwrap().overwritten.unwrap();
            assert_eq!((misuse.kind, misuse.address), (MisuseKind::OutOfBounds, outside.addr()));
        }
    }

    #[test]
    fn an_address_between_two_slots_is_about_the_nearer() {
        let mut pool = Pool::reserve().unwrap();
        let (start, _) = pool.range();
        let (room, page) = (pool.room(), pool.page);
        let blocks = [0, 1].map(|_| allocate(&mut pool, room, 0).unwrap().addr());
        assert_eq!(blocks[0], start + page);
        for (address, block) in [
            (start, blocks[0]),
            (blocks[0] + room + page / 2 - 1, blocks[0]),
            (blocks[0] + room + page / 2 + 1, blocks[1]),
            (blocks[1] - 1, blocks[1]),
        ] {
            assert_eq!(pool.around(address).block, block);
            assert_eq!(pool.closest(address).block, block);
        }
    }
}
