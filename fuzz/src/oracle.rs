//! What is live, as intervals, and what is in it.
//!
//! A live block's bytes, up to its usable size, are drawn from its own number. All of a small
//! block's are written, and of a large one its ends and a line now and then, so that a program of
//! hundreds of calls takes a millisecond.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Blocks up to so many bytes are written and compared as a whole.
const WHOLE: usize = 2 << 10;
/// Of larger ones: so many bytes at each end,
const ENDS: usize = 256;
/// and so many in between, at the beginnings of pages, of which there are as many as this.
const LINE: usize = 64;
const LINES: usize = 32;
const PAGE: usize = 4 << 10;
/// Zeroes are looked at in blocks up to this size as a whole.
const WHOLE_ZERO: usize = 64 << 10;

/// A live block.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// What was asked for.
    pub size: usize,
    /// The alignment that was asked for.
    pub align: usize,
    /// What it can hold.
    pub usable: usize,
    /// What its bytes are drawn from.
    seed: u64,
    /// Whether it has come about by a realloc.
    pub resized: bool,
    /// Its place in `order`.
    place: usize,
}

/// The live blocks, and the places of those that were freed.
#[derive(Debug, Default)]
pub struct Oracle {
    blocks: BTreeMap<usize, Block>,
    /// Addresses of live blocks, so that a number can mean one.
    order: Vec<usize>,
    /// The last freed first.
    freed: VecDeque<usize>,
    /// Bytes that were asked for, of live blocks.
    pub bytes: usize,
    made: u64,
}

/// As many places are remembered.
const FREED: usize = 256;

impl Oracle {
    /// The live block that a number means.
    pub fn pick(&self, which: usize) -> Option<(usize, Block)> {
        let number = which.checked_rem(self.order.len())?;
        let address = self.order[number];
        Some((address, self.blocks[&address]))
    }

    /// A place that a number means, where a block was freed and none is live.
    pub fn stale(&self, which: u8) -> Option<usize> {
        let number = usize::from(which).checked_rem(self.freed.len())?;
        let address = self.freed[number];
        (!self.is_live(address)).then_some(address)
    }

    /// Whether a live block starts at the address.
    pub fn is_live(&self, address: usize) -> bool {
        self.blocks.contains_key(&address)
    }

    /// How many blocks are live.
    pub fn count(&self) -> usize {
        self.order.len()
    }

    /// A block was allocated: it must be aligned, as large as was asked for, and nobody else's. Its
    /// bytes are written.
    pub fn enter(&mut self, address: usize, size: usize, align: usize, usable: usize) {
        assert!(address.is_multiple_of(align.max(16)), "{address:#x} is no multiple of {align}");
        assert!(usable >= size, "a block of {size} bytes can hold {usable}");
        let end = address.checked_add(usable.max(1)).expect("a block ends where addresses do");
        if let Some((&start, other)) = self.blocks.range(..end).next_back() {
            let behind = start + other.usable.max(1);
            assert!(
                behind <= address,
                "{address:#x} to {end:#x} overlaps the live block {start:#x} to {behind:#x}"
            );
        }
        self.made += 1;
        let place = self.order.len();
        let block = Block { size, align, usable, seed: self.made, resized: false, place };
        for range in parts(usable, WHOLE) {
            // SAFETY: the range lies in the block, which the allocator just gave us, and which
            // shares no byte with another of ours.
            unsafe { write(address, range, block.seed) };
        }
        self.blocks.insert(address, block);
        self.order.push(address);
        self.bytes += size;
    }

    /// The live block has come about by a realloc.
    pub fn resized(&mut self, address: usize) {
        self.blocks.get_mut(&address).expect("it is live").resized = true;
    }

    /// A block is about to be freed, or moved: its bytes must be what was written.
    pub fn leave(&mut self, address: usize) -> Block {
        self.verify(address);
        let block = self.blocks.remove(&address).expect("only live blocks leave");
        self.order.swap_remove(block.place);
        if let Some(moved) = self.order.get(block.place) {
            self.blocks.get_mut(moved).expect("it is live").place = block.place;
        }
        self.bytes -= block.size;
        self.freed.truncate(FREED - 1);
        self.freed.push_front(address);
        block
    }

    /// Fails unless the live block's bytes are what was written.
    pub fn verify(&self, address: usize) {
        let block = &self.blocks[&address];
        // SAFETY: the block is live, so its bytes are ours, and were written by `enter`.
        unsafe { block.compare(address, block.usable) };
    }

    /// Fails unless all live blocks' are.
    pub fn verify_all(&self) {
        self.order.iter().for_each(|&address| self.verify(address));
    }
}

impl Block {
    /// Fails unless the first `bytes` bytes at `address` are those of this block.
    ///
    /// # Safety
    /// So many bytes of what this block was are there, and nobody writes to them.
    pub unsafe fn compare(&self, address: usize, bytes: usize) {
        for range in parts(self.usable, WHOLE).map(|part| cut(part, bytes)) {
            // SAFETY: the caller's bytes are there, and nobody writes to them.
            unsafe { compare(address, range, self.seed) };
        }
    }
}

/// Fails unless a block that was asked for as all zero is. It is looked at where a block that can
/// hold as much was written before.
///
/// # Safety
/// A live block of `size` bytes starts there, and nobody writes to it.
pub unsafe fn assert_zero(address: usize, size: usize, usable: usize) {
    for range in parts(usable, WHOLE_ZERO).map(|part| cut(part, size)) {
        let start = (address + range.start) as *const u8;
        // SAFETY: the range lies in the caller's block.
        let bytes = unsafe { std::slice::from_raw_parts(start, range.len()) };
        // All at once: the fuzzer is told of every comparison, which takes long.
        if bytes.iter().fold(0, |all, byte| all | byte) != 0 {
            let first = bytes.iter().position(|&byte| byte != 0).unwrap_or_default();
            panic!("byte {} of {size} is not zero", range.start + first);
        }
    }
}

/// The parts of a block that are looked at: all of it up to `whole` bytes.
fn parts(bytes: usize, whole: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (bytes / LINES).next_multiple_of(PAGE).max(PAGE);
    let (first, lines, last) = match bytes <= whole {
        true => (0..bytes, 0, bytes..bytes),
        false => (0..ENDS, (bytes - ENDS) / step, bytes - ENDS..bytes),
    };
    let lines = (1..=lines).map(move |line| line * step..line * step + LINE);
    [first].into_iter().chain(lines).chain([last])
}

/// What of the part lies in the first `bytes` bytes.
fn cut(part: Range<usize>, bytes: usize) -> Range<usize> {
    part.start.min(bytes)..part.end.min(bytes)
}

/// The eight bytes that lie at number `at`, a multiple of eight, of a block. No two blocks have the
/// same at one place.
fn word(seed: u64, at: usize) -> [u8; 8] {
    (seed << 32 ^ at as u64 >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()
}

/// The words, or parts of words, of a part of a block: where they are, and what is to be there.
fn words(seed: u64, part: Range<usize>) -> impl Iterator<Item = (Range<usize>, [u8; 8])> {
    let first = part.start & !7;
    (first..part.end).step_by(8).map(move |at| {
        let mut word = word(seed, at);
        let from = at.max(part.start);
        word.rotate_left(from - at);
        (from..(at + 8).min(part.end), word)
    })
}

/// Writes a part of a block.
///
/// # Safety
/// The part lies in a block that nobody else uses.
unsafe fn write(address: usize, part: Range<usize>, seed: u64) {
    for (range, word) in words(seed, part) {
        let place = (address + range.start) as *mut u8;
        // SAFETY: the range lies in the part, which is the caller's alone.
        unsafe { place.copy_from_nonoverlapping(word.as_ptr(), range.len()) };
    }
}

/// Fails unless a part of a block holds what was written there.
///
/// # Safety
/// The part was written to, and nobody writes to it now.
unsafe fn compare(address: usize, part: Range<usize>, seed: u64) {
    // SAFETY: the part is there, and nobody writes to it.
    let found = |range: &Range<usize>| unsafe {
        std::slice::from_raw_parts((address + range.start) as *const u8, range.len())
    };
    let differs = words(seed, part.clone()).fold(0, |all, (range, word)| {
        all | found(&range).iter().zip(word).fold(0, |all, (found, byte)| all | (found ^ byte))
    });
    if differs != 0 {
        let wrong = words(seed, part).find(|(range, word)| found(range) != &word[..range.len()]);
        let (range, word) = wrong.expect("a byte differs");
        panic!("of {address:#x}, {range:?} is {:?}, not {word:?}", found(&range));
    }
}
