//! A heap's figures, and its first broken invariant.

use core::fmt;

/// A heap's figures at one moment. Bytes, unless the name says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Usable bytes of all live blocks.
    pub live_bytes: usize,
    /// Live blocks.
    pub live_blocks: usize,
    /// Bytes of all free blocks, their headers included.
    pub free_bytes: usize,
    /// Free blocks.
    pub free_blocks: usize,
    /// Usable bytes of the largest free block; 0 when there is none.
    pub largest_free: usize,
    /// Bytes mapped from the operating system, the heap's own tables included.
    pub mapped_bytes: usize,
    /// Regions that blocks are cut from.
    pub regions: usize,
    /// Blocks that have a mapping of their own.
    pub huge_blocks: usize,
    /// Misuses returned by the call that committed them.
    pub misuses_at_call: u64,
    /// Misuses noticed afterwards.
    pub misuses_late: u64,
}

/// An invariant of a heap that does not hold, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The invariant, as a sentence that should have been true.
    pub invariant: &'static str,
    /// The address of the block, list or region concerned.
    pub address: usize,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken invariant at {:#x}: {}", self.address, self.invariant)
    }
}

impl core::error::Error for Broken {}
