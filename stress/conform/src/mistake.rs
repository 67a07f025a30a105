//! The mistakes of a program that are scored.

use serde::{Deserialize, Serialize};

/// Bytes of the blocks: the smallest class, a page, above the usual bounds of caches, of mappings.
pub const SIZES: [usize; 4] = [8, 4 << 10, 256 << 10, 4 << 20];

/// What a mistake is, and what a message can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The block had been freed.
    DoubleFree,
    /// The pointer is no block.
    InvalidFree,
    /// The size is not the block's.
    SizeMismatch,
    /// Memory was written that was not the program's.
    Write,
}

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mistake {
    /// Freed twice at once.
    FreeTwice,
    /// With a free of another block between.
    FreeInterleaved,
    /// With frees of 1,024 others between.
    FreeDelayed,
    /// With the block beside it freed and allocated again between.
    FreeAfterNeighbour,
    /// By two threads at once.
    FreeRaceOfTwo,
    /// By four.
    FreeRaceOfFour,
    /// Twice by a thread that did not allocate it.
    FreeByAnother,
    /// Twice after its thread has exited.
    FreeAfterExit,
    /// Resized after it was freed.
    ResizeFreed,
    /// A pointer into a block's middle.
    FreeInterior,
    /// One byte after a block's start.
    FreeUnaligned,
    /// A variable on the stack.
    FreeStack,
    /// A static variable.
    FreeStatic,
    /// Where a mapping was.
    FreeUnmapped,
    /// Where nothing ever was.
    FreeWild,
    /// `free_sized` with another class's size.
    SizedMismatch,
    /// Written to after it was freed.
    WriteAfterFree,
    /// One byte past the usable end.
    OverflowOne,
    /// 32 bytes past it.
    OverflowMany,
    /// 8 bytes before the start.
    Underflow,
}

impl Mistake {
    /// In the order in which they are printed.
    pub const ALL: [Mistake; 20] = [
        Mistake::FreeTwice,
        Mistake::FreeInterleaved,
        Mistake::FreeDelayed,
        Mistake::FreeAfterNeighbour,
        Mistake::FreeRaceOfTwo,
        Mistake::FreeRaceOfFour,
        Mistake::FreeByAnother,
        Mistake::FreeAfterExit,
        Mistake::ResizeFreed,
        Mistake::FreeInterior,
        Mistake::FreeUnaligned,
        Mistake::FreeStack,
        Mistake::FreeStatic,
        Mistake::FreeUnmapped,
        Mistake::FreeWild,
        Mistake::SizedMismatch,
        Mistake::WriteAfterFree,
        Mistake::OverflowOne,
        Mistake::OverflowMany,
        Mistake::Underflow,
    ];

    /// As rows spell it.
    pub fn name(self) -> &'static str {
        match self {
            Mistake::FreeTwice => "double-free-immediate",
            Mistake::FreeInterleaved => "double-free-interleaved",
            Mistake::FreeDelayed => "double-free-behind-1024",
            Mistake::FreeAfterNeighbour => "double-free-neighbour-reused",
            Mistake::FreeRaceOfTwo => "double-free-race-2",
            Mistake::FreeRaceOfFour => "double-free-race-4",
            Mistake::FreeByAnother => "double-free-by-another",
            Mistake::FreeAfterExit => "double-free-owner-exited",
            Mistake::ResizeFreed => "realloc-after-free",
            Mistake::FreeInterior => "invalid-free-interior",
            Mistake::FreeUnaligned => "invalid-free-unaligned",
            Mistake::FreeStack => "invalid-free-stack",
            Mistake::FreeStatic => "invalid-free-static",
            Mistake::FreeUnmapped => "invalid-free-unmapped",
            Mistake::FreeWild => "invalid-free-wild",
            Mistake::SizedMismatch => "sized-mismatch",
            Mistake::WriteAfterFree => "write-after-free",
            Mistake::OverflowOne => "overflow-1",
            Mistake::OverflowMany => "overflow-32",
            Mistake::Underflow => "underflow-8",
        }
    }

    /// What a message must name.
    pub fn kind(self) -> Kind {
        match self {
            Mistake::FreeTwice
            | Mistake::FreeInterleaved
            | Mistake::FreeDelayed
            | Mistake::FreeAfterNeighbour
            | Mistake::FreeRaceOfTwo
            | Mistake::FreeRaceOfFour
            | Mistake::FreeByAnother
            | Mistake::FreeAfterExit
            | Mistake::ResizeFreed => Kind::DoubleFree,
            Mistake::FreeInterior
            | Mistake::FreeUnaligned
            | Mistake::FreeStack
            | Mistake::FreeStatic
            | Mistake::FreeUnmapped
            | Mistake::FreeWild => Kind::InvalidFree,
            Mistake::SizedMismatch => Kind::SizeMismatch,
            Mistake::WriteAfterFree
            | Mistake::OverflowOne
            | Mistake::OverflowMany
            | Mistake::Underflow => Kind::Write,
        }
    }

    /// How often it is made, each time in a new process; the worst end counts. Threads that race do
    /// not meet the same way twice.
    pub fn repeats(self) -> usize {
        match self {
            Mistake::FreeRaceOfTwo | Mistake::FreeRaceOfFour => 10,
            _ => 1,
        }
    }
}

/// Mistakes with their sizes, in the order in which they are printed.
pub fn all() -> impl Iterator<Item = (Mistake, usize)> {
    Mistake::ALL.into_iter().flat_map(|mistake| SIZES.map(|size| (mistake, size)))
}

/// The name of a mistake's row, or of its benign twin's.
pub fn row_name(mistake: Mistake, size: usize, twin: bool) -> String {
    let topic = if twin { "twin" } else { "misuse" };
    format!("{topic}/{}/{}", mistake.name(), size_name(size))
}

/// A size of a mistake's block.
pub fn size_name(size: usize) -> String {
    match size {
        0..1024 => format!("{size}B"),
        1024..0x10_0000 => format!("{}K", size >> 10),
        _ => format!("{}M", size >> 20),
    }
}
