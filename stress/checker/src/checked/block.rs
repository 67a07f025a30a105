//! A live block, as its holder has it.

use crate::identity::Identity;
use crate::journal::Name;

/// A live block, stamped over all its bytes. It may be given to another worker.
#[derive(Debug)]
pub struct Block {
    pub(super) address: *mut u8,
    /// Bytes asked for; above [`ORIGIN_SHIFT`] what made it; above [`SLACK_SHIFT`] how many more
    /// bytes are taken for the program's.
    sizes: u64,
    pub(super) identity: Identity,
}

// One is kept for every live block.
const _: () = assert!(size_of::<Block>() == 24);

/// A size that was granted has fewer bits: no workload asks for a TiB.
const ORIGIN_SHIFT: u32 = 40;
const SLACK_SHIFT: u32 = 48;

/// What made a block, and so what may free it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `malloc`, `calloc` or `realloc`: `free_sized` may free it.
    Plain,
    /// `operator new`: `operator delete` frees it.
    New,
    /// `posix_memalign` or `memalign`, with the logarithm of the alignment: only `free` may.
    Aligned(u8),
    /// `aligned_alloc`, the same: `free_aligned_sized` may free it.
    AlignedAlloc(u8),
}

impl Origin {
    fn bits(self) -> u64 {
        match self {
            Origin::Plain => 0,
            Origin::New => 1,
            Origin::Aligned(log) => 0x40 | u64::from(log),
            Origin::AlignedAlloc(log) => 0x80 | u64::from(log),
        }
    }

    fn of_bits(bits: u8) -> Self {
        match (bits & 0xc0, bits & 0x3f) {
            (0, 0) => Origin::Plain,
            (0, _) => Origin::New,
            (0x40, log) => Origin::Aligned(log),
            (_, log) => Origin::AlignedAlloc(log),
        }
    }

    /// The alignment that was asked for, 1 if none was.
    pub fn alignment(self) -> usize {
        match self {
            Origin::Plain | Origin::New => 1,
            Origin::Aligned(log) | Origin::AlignedAlloc(log) => 1 << log,
        }
    }
}

/// The most bytes beyond those asked for that are taken for a block's, when the size is a multiple
/// of 8.
const MOST_SLACK: usize = (1 << 16) - 8;

// SAFETY: a block is its holder's alone, whichever thread that is; allocators free from any thread.
unsafe impl Send for Block {}

impl Block {
    /// A block of so many bytes that were asked for. The program may use `usable` bytes, which is
    /// no less: of what is more than [`MOST_SLACK`] above that no account is kept.
    pub(super) fn new(
        address: *mut u8,
        size: usize,
        usable: usize,
        origin: Origin,
        identity: Identity,
    ) -> Self {
        let slack = (usable - size).min(MOST_SLACK - size % 8);
        let sizes = (slack as u64) << SLACK_SHIFT | origin.bits() << ORIGIN_SHIFT | size as u64;
        Self { address, sizes, identity }
    }

    /// What made it.
    pub fn origin(&self) -> Origin {
        Origin::of_bits((self.sizes >> ORIGIN_SHIFT) as u8)
    }

    /// Bytes asked for.
    pub fn size(&self) -> usize {
        (self.sizes & ((1 << ORIGIN_SHIFT) - 1)) as usize
    }

    /// Bytes that are the block's alone.
    pub(super) fn extent(&self) -> usize {
        self.size() + (self.sizes >> SLACK_SHIFT) as usize
    }

    /// Whose it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Where it is.
    pub fn address(&self) -> *mut u8 {
        self.address
    }

    /// Its name in a journal.
    pub(super) fn name(&self) -> Name {
        Name { owner: self.identity.owner(), sequence: self.identity.sequence() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_keeps_its_size_its_slack_and_its_origin() {
        let identity = Identity::new(3, 9);
        let origins = [
            Origin::Plain,
            Origin::New,
            Origin::Aligned(3),
            Origin::Aligned(12),
            Origin::AlignedAlloc(4),
            Origin::AlignedAlloc(22),
        ];
        for origin in origins {
            for (size, usable) in [(0, 0), (1, 24), (1 << 39, 1 << 39), (40, 1 << 20)] {
                let block = Block::new(std::ptr::null_mut(), size, usable, origin, identity);
                assert_eq!((block.size(), block.origin()), (size, origin));
                assert_eq!(block.extent(), size + (usable - size).min(MOST_SLACK - size % 8));
            }
        }
    }
}
