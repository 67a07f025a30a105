//! A live block, as its holder has it.

use crate::identity::Identity;
use crate::journal::Name;

/// A live block, stamped over all its bytes. It may be given to another worker.
#[derive(Debug)]
pub struct Block {
    pub(super) address: *mut u8,
    /// Bytes asked for, and above [`SLACK_SHIFT`] how many more are taken for the program's.
    sizes: u64,
    pub(super) identity: Identity,
}

// One is kept for every live block.
const _: () = assert!(size_of::<Block>() == 24);

/// A size that was granted has fewer bits.
const SLACK_SHIFT: u32 = 48;

/// The most bytes beyond those asked for that are taken for a block's, when the size is a multiple
/// of 8.
const MOST_SLACK: usize = (1 << 16) - 8;

// SAFETY: a block is its holder's alone, whichever thread that is; allocators free from any thread.
unsafe impl Send for Block {}

impl Block {
    /// A block of so many bytes that were asked for. The program may use `usable` bytes, which is
    /// no less: of what is more than [`MOST_SLACK`] above that no account is kept.
    pub(super) fn new(address: *mut u8, size: usize, usable: usize, identity: Identity) -> Self {
        let slack = (usable - size).min(MOST_SLACK - size % 8);
        Self { address, sizes: (slack as u64) << SLACK_SHIFT | size as u64, identity }
    }

    /// Bytes asked for.
    pub fn size(&self) -> usize {
        (self.sizes & ((1 << SLACK_SHIFT) - 1)) as usize
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
