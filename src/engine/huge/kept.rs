//! Freed mappings that are kept: resident pages for the next huge blocks.
//!
//! A request takes a piece that fits, or the front of a longer one. Where none is long enough,
//! several are moved behind each other by `mremap`: that costs some 30 ns a page, a fault and its
//! cleared page ten to a hundred times as much. So pages serve blocks of any size, wherever they
//! lay.
//!
//! The OS moves a whole mapping at a time. A block that was put together remembers where its pieces
//! begin, and comes apart into them when it is freed.
//!
//! # Invariants
//! ```text
//! bytes = sum of the pieces' used     low <= bytes
//! ```

use crate::engine::huge::mapping::{Mapping, NONE, PIECES, Pieces};

/// Pieces that are kept at most.
pub const KEPT: usize = 32;
/// Bytes that may be kept whatever is live: 32 MiB.
pub const KEPT_BYTES: usize = 32 << 20;

/// Milliseconds after which what nobody needed meanwhile goes back.
pub const WHILE: u64 = 250;

/// The smallest part of a piece that is worth keeping for itself.
const LEAST: usize = 256 << 10;

/// See the [module](self).
pub struct Kept {
    pieces: [Mapping; KEPT],
    /// Bytes of them that may be resident.
    pub bytes: usize,
    /// The fewest bytes that were kept since the last [`decay`](Self::decay): nobody needed them.
    low: usize,
}

impl Kept {
    /// None.
    pub const fn new() -> Kept {
        Kept { pieces: [NONE; KEPT], bytes: 0, low: 0 }
    }

    /// Whether a piece fits `bytes` bytes as it is.
    pub fn has(&self, bytes: usize) -> bool {
        self.pieces.iter().any(|piece| piece.fits(bytes))
    }

    /// The shortest piece of which `bytes` bytes may be resident: the whole of it if hardly more
    /// are, else its front.
    pub fn take(&mut self, bytes: usize) -> Option<Mapping> {
        let long = self.pieces.iter_mut().filter(|piece| piece.used >= bytes);
        let best = long.min_by_key(|piece| piece.used)?;
        let front = match best.fits(bytes) {
            true => core::mem::replace(best, NONE),
            false => best.split_off_front(bytes),
        };
        self.lost(front.used);
        Some(front)
    }

    /// A piece for a block of `bytes` bytes that grows: the longest.
    pub fn take_to_grow(&mut self, bytes: usize) -> Option<Mapping> {
        let long = self.pieces.iter_mut().filter(|piece| piece.bytes >= bytes);
        let longest = core::mem::replace(long.max_by_key(|piece| piece.bytes)?, NONE);
        self.lost(longest.used);
        Some(longest)
    }

    /// Pieces of `bytes` bytes in all, or fewer: those to be moved behind each other. The longest
    /// come first, and the shortest that is long enough for the rest comes last.
    pub fn gather(&mut self, bytes: usize) -> Pieces {
        let (mut pieces, mut missing) = (Pieces::new(), bytes);
        // One place stays, for the part that is new.
        while missing > 0 && pieces.count() < PIECES - 1 {
            let long = self.pieces.iter_mut().filter(|piece| piece.used >= missing);
            let piece = match long.min_by_key(|piece| piece.used) {
                Some(piece) => piece.split_off_front(missing),
                None => {
                    let all = self.pieces.iter_mut().filter(|piece| piece.used >= LEAST);
                    let Some(longest) = all.max_by_key(|piece| piece.used) else { break };
                    core::mem::replace(longest, NONE)
                }
            };
            missing -= piece.used;
            self.lost(piece.used);
            pieces.push(piece);
        }
        pieces
    }

    /// Keeps a piece; returns what goes in exchange, if there is no place: the shortest.
    pub fn put(&mut self, piece: Mapping) -> Option<Mapping> {
        let least = self.pieces.iter_mut().min_by_key(|piece| piece.used)?;
        if least.used >= piece.used {
            return Some(piece);
        }
        let gone = core::mem::replace(least, piece);
        self.bytes = self.bytes + piece.used - gone.used;
        self.low = self.low.min(self.bytes);
        (gone.bytes > 0).then_some(gone)
    }

    /// Takes `excess` bytes off the kept ones, or somewhat more where a rest would be too short, or
    /// fewer where no piece is as long: the caller comes again.
    pub fn cut(&mut self, excess: usize) -> Option<Mapping> {
        let kept = || self.pieces.iter().enumerate().filter(|(_, piece)| piece.bytes > 0);
        let enough = kept().filter(|(_, piece)| piece.used >= excess);
        let (place, _) = enough
            .min_by_key(|(_, piece)| piece.used)
            .or_else(|| kept().max_by_key(|(_, piece)| piece.used))?;
        let piece = &mut self.pieces[place];
        let stays = piece.used.saturating_sub(excess);
        let gone = if stays >= LEAST {
            piece.split_off_behind(stays)
        } else {
            core::mem::replace(piece, NONE)
        };
        self.lost(gone.used);
        Some(gone)
    }

    /// Begins a new time; returns how many bytes nobody needed in the old one.
    pub fn decay(&mut self) -> usize {
        core::mem::replace(&mut self.low, self.bytes)
    }

    /// Gives each piece to `f`, and forgets those of which it says that they are gone.
    pub fn retain(&mut self, mut f: impl FnMut(Mapping) -> bool) {
        for piece in &mut self.pieces {
            if piece.bytes > 0 && !f(*piece) {
                self.bytes -= piece.used;
                *piece = NONE;
            }
        }
        self.low = self.low.min(self.bytes);
    }

    fn lost(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.low = self.low.min(self.bytes);
    }
}
