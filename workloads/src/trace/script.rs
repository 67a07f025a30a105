//! A trace made ready to be replayed on one thread: block numbers replaced by slots of a small
//! table.
//!
//! Every block is made once and freed once, what the program never freed at the end; the table of
//! blocks is as small as the most blocks that are live at once.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::in_memory::Trace;
use super::op::Kind;
use crate::heap::{Heap, MARK};

/// An operation with the table's slot in place of the block's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `malloc(size)` into an empty slot.
    Malloc {
        /// Where the block goes.
        slot: u32,
        /// Bytes; may be 0.
        size: u32,
    },
    /// `calloc(1, size)` into an empty slot.
    Calloc {
        /// Where the block goes.
        slot: u32,
        /// Bytes; may be 0.
        size: u32,
    },
    /// `aligned_alloc(align, size)` into an empty slot.
    AlignedAlloc {
        /// Where the block goes.
        slot: u32,
        /// Bytes; may be 0.
        size: u32,
        /// A power of two.
        align: u32,
    },
    /// `realloc` of the slot's block, to at least 1 byte.
    Realloc {
        /// Where the block is, and stays.
        slot: u32,
        /// Bytes, at least 1.
        size: u32,
    },
    /// `free` of the slot's block.
    Free {
        /// What becomes empty.
        slot: u32,
    },
}

const _: () = assert!(size_of::<Step>() == 16);

/// A trace's operations over slots; see the module's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Every call, in the trace's order. A slot is empty before the first, and after the last.
    pub steps: Vec<Step>,
    /// How many slots there are.
    pub slots: usize,
}

impl Script {
    /// The operations of `trace`, all threads' in one order.
    ///
    /// # Panics
    /// If one asks for 4 GiB or more at once.
    pub fn of(trace: &Trace) -> Script {
        let mut slots = Slots::default();
        let mut steps: Vec<Step> = trace.ops().iter().map(|op| step(op.kind, &mut slots)).collect();
        steps.extend(slots.live().map(|slot| Step::Free { slot }));
        Script { steps, slots: slots.made as usize }
    }

    /// Makes every call in `heap`, and writes the first byte of every block. `blocks` has room for
    /// the slots.
    #[inline]
    pub fn replay(&self, heap: Heap, blocks: &mut [*mut u8]) {
        for step in &self.steps {
            // SAFETY: alignments are powers of two, and reallocs ask for at least 1 byte. A slot
            // that is reallocated or freed holds a live block: a script gives each slot a birth
            // before either, and none of its steps comes between a free and the slot's next birth.
            let (slot, block, size) = unsafe {
                match *step {
                    Step::Malloc { slot, size } => {
                        (slot, heap.malloc_untouched(size as usize), size)
                    }
                    Step::Calloc { slot, size } => {
                        (slot, heap.calloc_untouched(size as usize), size)
                    }
                    Step::AlignedAlloc { slot, size, align } => {
                        (slot, heap.aligned_alloc(align as usize, size as usize), size)
                    }
                    Step::Realloc { slot, size } => {
                        (slot, heap.realloc(blocks[slot as usize], size as usize), size)
                    }
                    Step::Free { slot } => {
                        heap.free(blocks[slot as usize]);
                        continue;
                    }
                }
            };
            if size > 0 {
                // SAFETY: the block was allocated just now and has a first byte.
                unsafe { block.write(MARK) };
            }
            blocks[slot as usize] = block;
        }
    }

    /// Writes the script for a process that is to read it with [`Script::read_from`]: the numbers
    /// of slots and steps, then 16 bytes a step, as the machine's own numbers. No format to keep.
    ///
    /// # Errors
    /// As `out`.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&(self.slots as u64).to_ne_bytes())?;
        out.write_all(&(self.steps.len() as u64).to_ne_bytes())?;
        for step in &self.steps {
            let words = match *step {
                Step::Malloc { slot, size } => [MALLOC, slot, size, 0],
                Step::Calloc { slot, size } => [CALLOC, slot, size, 0],
                Step::AlignedAlloc { slot, size, align } => [ALIGNED_ALLOC, slot, size, align],
                Step::Realloc { slot, size } => [REALLOC, slot, size, 0],
                Step::Free { slot } => [FREE, slot, 0, 0],
            };
            for word in words {
                out.write_all(&word.to_ne_bytes())?;
            }
        }
        Ok(())
    }

    /// Reads what [`Script::write_to`] wrote, in memory for the script alone. Give it a buffered
    /// reader.
    ///
    /// # Errors
    /// As `from`; [`io::ErrorKind::InvalidData`] if a step is of no kind.
    pub fn read_from(from: &mut impl Read) -> io::Result<Script> {
        let mut long = || {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes).map(|()| u64::from_ne_bytes(bytes) as usize)
        };
        let (slots, count) = (long()?, long()?);
        let mut steps = Vec::with_capacity(count);
        for _ in 0..count {
            let mut bytes = [0; 16];
            from.read_exact(&mut bytes)?;
            let word = |at: usize| {
                let bytes = bytes[4 * at..].first_chunk().expect("16 bytes are four words");
                u32::from_ne_bytes(*bytes)
            };
            let (slot, size, align) = (word(1), word(2), word(3));
            steps.push(match word(0) {
                MALLOC => Step::Malloc { slot, size },
                CALLOC => Step::Calloc { slot, size },
                ALIGNED_ALLOC => Step::AlignedAlloc { slot, size, align },
                REALLOC => Step::Realloc { slot, size },
                FREE => Step::Free { slot },
                _ => return Err(io::ErrorKind::InvalidData.into()),
            });
        }
        Ok(Script { steps, slots })
    }
}

// What a step begins with in `write_to`.
const MALLOC: u32 = 0;
const CALLOC: u32 = 1;
const ALIGNED_ALLOC: u32 = 2;
const REALLOC: u32 = 3;
const FREE: u32 = 4;

/// Translates one operation.
///
/// # Panics
///
/// If it asks for 4 GiB or more at once.
fn step(kind: Kind, slots: &mut Slots) -> Step {
    let small = |bytes| u32::try_from(bytes).expect("a script asks for less than 4 GiB");
    match kind {
        Kind::Malloc { block, size } => Step::Malloc { slot: slots.take(block), size: small(size) },
        Kind::Calloc { block, size } => Step::Calloc { slot: slots.take(block), size: small(size) },
        Kind::AlignedAlloc { block, size, align } => {
            Step::AlignedAlloc { slot: slots.take(block), size: small(size), align: small(align) }
        }
        // A size of 0 would free on one allocator and not on another (C23 leaves it undefined).
        Kind::Realloc { from, to, size } => {
            Step::Realloc { slot: slots.rename(from, to), size: small(size.max(1)) }
        }
        Kind::Free { block } => Step::Free { slot: slots.leave(block) },
    }
}

/// Which slot each live block has. A slot that was left is taken again before a new one is made,
/// the last left first.
#[derive(Default)]
struct Slots {
    of_block: BTreeMap<u32, u32>,
    left: Vec<u32>,
    made: u32,
}

impl Slots {
    fn take(&mut self, block: u32) -> u32 {
        let slot = self.left.pop().unwrap_or_else(|| {
            self.made += 1;
            self.made - 1
        });
        self.of_block.insert(block, slot);
        slot
    }

    fn rename(&mut self, from: u32, to: u32) -> u32 {
        let slot = self.forget(from);
        self.of_block.insert(to, slot);
        slot
    }

    fn leave(&mut self, block: u32) -> u32 {
        let slot = self.forget(block);
        self.left.push(slot);
        slot
    }

    fn forget(&mut self, block: u32) -> u32 {
        self.of_block.remove(&block).expect("a trace ends only blocks that are live")
    }

    /// The slots of the blocks that are live, the oldest block's first.
    fn live(&self) -> impl Iterator<Item = u32> {
        self.of_block.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Op;
    use super::*;

    fn script() -> Script {
        let kinds = [
            Kind::Malloc { block: 0, size: 10 },
            Kind::Calloc { block: 1, size: 20 },
            Kind::Free { block: 0 },
            Kind::AlignedAlloc { block: 2, size: 30, align: 64 },
            Kind::Realloc { from: 1, to: 3, size: 0 },
        ];
        let ops = kinds.map(|kind| Op { thread: 0, kind }).to_vec();
        Script::of(&Trace::new("a test", ops).expect("a possible history"))
    }

    #[test]
    fn slots_are_reused_and_all_are_empty_in_the_end() {
        let script = script();
        assert_eq!(script.slots, 2);
        let expected = [
            Step::Malloc { slot: 0, size: 10 },
            Step::Calloc { slot: 1, size: 20 },
            Step::Free { slot: 0 },
            Step::AlignedAlloc { slot: 0, size: 30, align: 64 },
            Step::Realloc { slot: 1, size: 1 },
            Step::Free { slot: 0 },
            Step::Free { slot: 1 },
        ];
        assert_eq!(script.steps, expected);
    }

    #[test]
    fn what_is_written_can_be_read_and_damage_is_noticed() {
        let mut bytes = Vec::new();
        script().write_to(&mut bytes).unwrap();
        assert_eq!(Script::read_from(&mut &bytes[..]).unwrap(), script());
        assert!(Script::read_from(&mut &bytes[..bytes.len() - 1]).is_err());
        bytes[16] = 9;
        assert!(Script::read_from(&mut &bytes[..]).is_err());
    }
}
