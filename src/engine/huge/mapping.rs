//! A mapping of huge blocks, and several.

use core::ptr;

use crate::os::PAGE;

/// Pieces that a block may be put together from.
pub const PIECES: usize = 8;

/// The most of a mapping that a smaller block may waste.
const WASTE: usize = 256 << 10;

/// A mapping without a block.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// Its first byte.
    pub start: *mut u8,
    /// Its length, a multiple of a page.
    pub bytes: usize,
    /// So much of it, from its start, may be resident: a multiple of a page.
    pub used: usize,
}

/// No mapping.
pub const NONE: Mapping = Mapping { start: ptr::null_mut(), bytes: 0, used: 0 };

impl Mapping {
    /// Whether it is worth being used whole for a block of `bytes` bytes: an eighth more, and
    /// 256 KiB, at most.
    pub fn fits(&self, bytes: usize) -> bool {
        self.used >= bytes && self.used - bytes <= (bytes / 8).min(WASTE)
    }

    /// Cuts the first `bytes` bytes off, all of which may be resident.
    pub fn split_off_front(&mut self, bytes: usize) -> Mapping {
        let front = Mapping { bytes, used: bytes, ..*self };
        *self = match self.used > bytes {
            true => Mapping {
                start: self.start.wrapping_add(bytes),
                bytes: self.bytes - bytes,
                used: self.used - bytes,
            },
            // What is left is address space that nothing lies in: it stays with the front.
            false => return core::mem::replace(self, NONE),
        };
        front
    }

    /// Cuts off what lies behind the first `bytes` bytes.
    pub fn split_off_behind(&mut self, bytes: usize) -> Mapping {
        let behind = Mapping {
            start: self.start.wrapping_add(bytes),
            bytes: self.bytes - bytes,
            used: self.used.saturating_sub(bytes),
        };
        *self = Mapping { bytes, used: self.used.min(bytes), ..*self };
        behind
    }
}

/// A few mappings.
#[derive(Clone, Copy, Debug)]
pub struct Pieces {
    all: [Mapping; MOST],
    count: usize,
}

/// How many [`Pieces`] there may be: those of a block, and those that they push out.
const MOST: usize = 2 * PIECES;

impl Pieces {
    /// None.
    pub const fn new() -> Pieces {
        Pieces { all: [NONE; MOST], count: 0 }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether another has a place.
    pub fn has_room(&self) -> bool {
        self.count < MOST
    }

    /// Adds one, for which there is [room](Self::has_room).
    pub fn push(&mut self, mapping: Mapping) {
        self.all[self.count] = mapping;
        self.count += 1;
    }

    /// The mappings.
    pub fn all(&self) -> &[Mapping] {
        &self.all[..self.count]
    }
}

/// Where the pieces of a block begin: distances from its start, from the second piece's on; 0 where
/// there is none.
pub type Seams = [usize; PIECES - 1];

/// Those of a block in one piece.
pub const NO_SEAMS: Seams = [0; PIECES - 1];

/// The pieces of a freed block's `mapping`, of which each is a mapping of the OS.
pub fn pieces_of(mapping: Mapping, seams: &Seams) -> Pieces {
    let (mut pieces, mut rest) = (Pieces::new(), mapping);
    let mut begin = 0;
    // The block may have got shorter since: seams beyond its end are none.
    for &seam in seams.iter().filter(|&&seam| seam > 0 && seam < mapping.bytes) {
        debug_assert!(seam > begin && seam.is_multiple_of(PAGE));
        let behind = rest.split_off_behind(seam - begin);
        pieces.push(rest);
        (rest, begin) = (behind, seam);
    }
    pieces.push(rest);
    pieces
}
