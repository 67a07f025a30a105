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
//! `live_blocks` and `live_bytes` are the sums over slots that are `Live`.

use core::ptr;

use crate::misuse::{BlockState, Found, Misuse, MisuseKind};
use crate::os::{Mmap, Os, PAGE, STEP};
use crate::sync::step;

use super::stack::{self, Stack};

/// Slots.
const SLOTS: usize = 256;
/// Bytes of a slot, and so of the largest block: a multiple of every kernel's page, as is the
/// guard.
const ROOM: usize = STEP;
/// Bytes between two slots.
const BETWEEN: usize = STEP;
/// So many bytes on either side of a block, where its own pages have them, are filled with this.
const BESIDE: usize = 256;
const PATTERN: u8 = 0xBD;

/// A thread's allocation or free.
#[derive(Clone, Copy)]
pub struct Event {
    /// The kernel's number for the thread.
    pub thread: i64,
    pub stack: Stack,
}

impl Event {
    const NONE: Event = Event { thread: 0, stack: Stack::NONE };

    /// Of the calling thread.
    pub fn here() -> Event {
        // SAFETY: gettid takes nothing and cannot fail.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) };
        Event { thread, stack: Stack::here() }
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    Unused,
    /// A block.
    Live,
    /// A block that was freed.
    Freed,
    /// A block that is just being allocated or freed.
    Busy,
}

/// A slot.
#[derive(Clone, Copy)]
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
    const NONE: Slot = Slot {
        state: State::Unused,
        block: 0,
        size: 0,
        pages: (0, 0),
        turn: 0,
        allocated: Event::NONE,
        freed: Event::NONE,
    };
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
        let start = Mmap.reserve_bare(BYTES, STEP).expose_provenance();
        if start == 0 {
            // SAFETY: reserved above, and nobody knows it.
            unsafe { Mmap.unmap_guarded(slots.cast(), bytes_of_slots()) };
            return None;
        }
        for slot in 0..SLOTS {
            // SAFETY: a slot of the table, which is ours alone.
            unsafe { slots.add(slot).write(Slot::NONE) };
        }
        stack::prepare();
        Some(Pool { start, slots, page: Mmap.page_bytes(), ..Pool::new() })
    }

    /// Where it starts, and how many bytes it has.
    pub fn range(&self) -> (usize, usize) {
        (self.start, BYTES)
    }

    /// Whether a block of `size` bytes at `align` can lie in a slot.
    pub fn takes(size: usize, align: usize) -> bool {
        size <= ROOM && align <= ROOM
    }

    /// Live blocks, and their bytes.
    pub fn live(&mut self) -> (usize, usize) {
        (self.live_blocks, self.live_bytes)
    }

    /// Makes a block. `None` where all slots are live, or the OS fails.
    pub fn allocate(
        &mut self,
        size: usize,
        align: usize,
        by: Event,
        random: usize,
    ) -> Option<*mut u8> {
        let number = self.next()?;
        let (start, page) = (self.start_of(number), self.page);
        // At the end three times of four: overflows are what most programs do wrong.
        let block = match random.is_multiple_of(4) {
            true => start,
            false => (start + ROOM - size.max(1)) & !(align - 1),
        };
        let first = block & !(page - 1);
        let end = (block + size.max(1)).next_multiple_of(page);
        let slot = self.slot(number);
        slot.state = State::Busy;
        step();
        // SAFETY: pages of a slot without a live block: nobody else's.
        if !unsafe { Mmap.commit(at(first), end - first) } {
            slot.state = State::Freed;
            return None;
        }
        (slot.block, slot.size, slot.pages, slot.allocated) = (block, size, (first, end), by);
        fill(slot);
        step();
        slot.state = State::Live;
        self.live_blocks += 1;
        self.live_bytes += size;
        Some(at(block))
    }

    /// Frees the block at `address`, which lies in the pool.
    ///
    /// # Safety
    /// If it is a live block, nothing uses it after this call.
    pub unsafe fn free(&mut self, address: usize, by: Event) -> Result<Freed, Misuse> {
        let size = self.size(address)?;
        self.turns += 1;
        let turn = self.turns;
        let slot = self.around(address);
        let overwritten = overwritten(slot);
        slot.state = State::Busy;
        step();
        let (first, end) = slot.pages;
        (slot.freed, slot.turn) = (by, turn);
        step();
        // Where the OS fails, the slot is lost: its pages are not zero.
        // SAFETY: the block's pages, which its owner has given up.
        if unsafe { Mmap.close(at(first), end - first) } {
            slot.state = State::Freed;
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

    /// The slot that `address`, in the pool, lies in, or on whose side of the guard.
    pub fn around(&mut self, address: usize) -> &mut Slot {
        let number = (address - self.start).saturating_sub(BETWEEN / 2) / (BETWEEN + ROOM);
        self.slot(number.min(SLOTS - 1))
    }

    /// Makes the sums anew.
    pub fn recount(&mut self) {
        let (mut blocks, mut bytes) = (0, 0);
        for number in 0..SLOTS {
            let slot = self.slot(number);
            if slot.state == State::Live {
                blocks += 1;
                bytes += slot.size;
            }
        }
        (self.live_blocks, self.live_bytes) = (blocks, bytes);
    }

    /// The slot to be used next: one that never was, else the one freed longest ago.
    fn next(&mut self) -> Option<usize> {
        let (mut oldest, mut found) = (u64::MAX, None);
        for number in 0..SLOTS {
            let slot = self.slot(number);
            if matches!(slot.state, State::Unused | State::Freed) && slot.turn < oldest {
                (oldest, found) = (slot.turn, Some(number));
            }
        }
        found
    }

    fn start_of(&self, number: usize) -> usize {
        self.start + BETWEEN + number * (ROOM + BETWEEN)
    }

    fn slot(&mut self, number: usize) -> &mut Slot {
        debug_assert!(number < SLOTS);
        // SAFETY: a slot of the table, which lives as long as the process, and is reached through
        // the guard's lock alone; the result borrows the pool.
        unsafe { &mut *self.slots.add(number) }
    }
}

/// Bytes of the pool: a guard before each slot, and one behind the last.
const BYTES: usize = BETWEEN + SLOTS * (ROOM + BETWEEN);

fn bytes_of_slots() -> usize {
    (SLOTS * size_of::<Slot>()).next_multiple_of(STEP)
}

/// The bytes before a live block, and behind it, that are filled.
fn beside(slot: &Slot) -> [(usize, usize); 2] {
    let (first, last) = slot.pages;
    let end = slot.block + slot.size;
    [(first.max(slot.block.saturating_sub(BESIDE)), slot.block), (end, last.min(end + BESIDE))]
}

/// A pointer to `address`, which lies in the pool.
fn at(address: usize) -> *mut u8 {
    ptr::with_exposed_provenance_mut(address)
}

/// Fills them.
fn fill(slot: &Slot) {
    for (from, to) in beside(slot) {
        // SAFETY: bytes of the block's pages, which nobody has yet.
        unsafe { at(from).write_bytes(PATTERN, to - from) };
    }
}

/// The byte beside the block that somebody changed: the one closest to it.
fn overwritten(slot: &Slot) -> Option<Misuse> {
    let changed = |address: &usize| {
        // SAFETY: a byte of a live block's pages. Others may write it, though none should.
        unsafe { at(*address).read_volatile() != PATTERN }
    };
    let [(first, before), (behind, end)] = beside(slot);
    let address = (behind..end).find(changed).or_else(|| (first..before).rev().find(changed))?;
    Some(Misuse {
        kind: MisuseKind::OutOfBounds,
        address,
        size: Some(slot.size),
        state: BlockState::Live,
        found: Found::Late,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(pool: &mut Pool, block: *mut u8) -> Result<Freed, Misuse> {
        // SAFETY: the tests touch no block that they have freed.
        unsafe { pool.free(block.addr(), Event::here()) }
    }

    fn allocate(pool: &mut Pool, size: usize, random: usize) -> Option<*mut u8> {
        pool.allocate(size, 16, Event::NONE, random)
    }

    #[test]
    fn a_block_lies_at_either_end_of_its_slot_and_is_zero() {
        let mut pool = Pool::reserve().unwrap();
        for size in [0, 1, 16, 100, 4096, 5000, ROOM] {
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
        pool.recount();
        assert_eq!(pool.live(), (SLOTS, 64 * SLOTS));
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
        assert_eq!(kind(&mut pool, start + bytes - 1), MisuseKind::ForeignPointer);
        free(&mut pool, block).unwrap();
        assert_eq!(kind(&mut pool, block.addr()), MisuseKind::DoubleFree);
        assert_eq!(free(&mut pool, block).err().unwrap().size, Some(100));
    }

    #[test]
    fn the_first_byte_that_was_written_beside_a_block_is_found() {
        let mut pool = Pool::reserve().unwrap();
        for (random, offset) in [(0, 100), (0, 130), (1, -1), (1, -100)] {
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
        let blocks = [0, 1].map(|_| allocate(&mut pool, ROOM, 0).unwrap().addr());
        assert_eq!(blocks[0], start + BETWEEN);
        for (address, block) in [
            (start, blocks[0]),
            (blocks[0] + ROOM + BETWEEN / 2 - 1, blocks[0]),
            (blocks[0] + ROOM + BETWEEN / 2, blocks[1]),
            (blocks[1] - 1, blocks[1]),
        ] {
            assert_eq!(pool.around(address).block, block);
        }
    }
}
