//! An operation on a slot, and a stream of them.

/// One operation. Of the slots that it names, those of the first three are empty, the others hold a
/// block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the fields are those of the C functions; sizes and alignments are bytes"
)]
pub enum Op {
    Malloc {
        slot: usize,
        size: usize,
    },
    Calloc {
        slot: usize,
        count: usize,
        size: usize,
    },
    AlignedAlloc {
        slot: usize,
        alignment: usize,
        size: usize,
    },
    /// Never to 0.
    Realloc {
        slot: usize,
        size: usize,
    },
    Free {
        slot: usize,
    },
    /// Reads the block, which stays.
    Read {
        slot: usize,
    },
}

/// An endless stream of operations for one thread.
pub trait Stream {
    /// How many slots there are.
    fn slots(&self) -> usize;

    /// The next operation.
    fn draw(&mut self) -> Op;
}
