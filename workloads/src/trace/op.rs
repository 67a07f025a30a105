//! One operation of a program on its allocator, with block numbers in place of addresses; and
//! how many a trace can hold.

/// The most operations that a trace can hold (about 67 million; in memory 2 GiB).
pub const MAX_OPS: usize = 1 << 26;
/// The most bytes of a trace's command line.
pub const COMMAND_LIMIT: usize = 4096;

/// One operation: who did it, and what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Op {
    /// The thread's number, from 0, in the order in which the threads first appear.
    pub thread: u32,
    /// What the thread did.
    pub kind: Kind,
}

/// What an operation did. Sizes and alignments are bytes; every request here was granted.
///
/// A block's number is given once, at its birth, counting up from 0 in the trace's order, and never
/// again: a realloc ends one block and begins the next, even where the address stays. So every
/// block has one birth and at most one end, and a replayer's table of addresses needs no more than
/// [`Trace::blocks`](super::Trace::blocks) entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `malloc(size)`, or `realloc(NULL, size)`.
    Malloc {
        /// The block that is made.
        block: u32,
        /// Bytes asked for; may be 0.
        size: usize,
    },
    /// `calloc(count, size)`, with the product in one figure.
    Calloc {
        /// The block that is made.
        block: u32,
        /// Bytes asked for in all; may be 0.
        size: usize,
    },
    /// `aligned_alloc`, `posix_memalign`, `memalign`, `valloc` or `pvalloc`.
    AlignedAlloc {
        /// The block that is made.
        block: u32,
        /// Bytes asked for; may be 0.
        size: usize,
        /// The alignment asked for, a power of two.
        align: usize,
    },
    /// `realloc(from, size)` or `reallocarray`, whether the block moved or not.
    Realloc {
        /// The block that ends.
        from: u32,
        /// The block that is made, holding the common prefix of `from`.
        to: u32,
        /// Bytes asked for.
        size: usize,
    },
    /// `free(block)`, or a `realloc(block, 0)` that freed.
    Free {
        /// The block that ends.
        block: u32,
    },
}

impl Kind {
    /// The block that this operation brings to life.
    pub const fn made(&self) -> Option<u32> {
        match *self {
            Kind::Malloc { block, .. }
            | Kind::Calloc { block, .. }
            | Kind::AlignedAlloc { block, .. }
            | Kind::Realloc { to: block, .. } => Some(block),
            Kind::Free { .. } => None,
        }
    }

    /// The block that this operation ends.
    pub const fn ended(&self) -> Option<u32> {
        match *self {
            Kind::Free { block } | Kind::Realloc { from: block, .. } => Some(block),
            Kind::Malloc { .. } | Kind::Calloc { .. } | Kind::AlignedAlloc { .. } => None,
        }
    }

    /// The bytes asked for; `None` for a free.
    pub const fn size(&self) -> Option<usize> {
        match *self {
            Kind::Malloc { size, .. }
            | Kind::Calloc { size, .. }
            | Kind::AlignedAlloc { size, .. }
            | Kind::Realloc { size, .. } => Some(size),
            Kind::Free { .. } => None,
        }
    }

    /// The operation's name in tables: `malloc`, `calloc`, `aligned_alloc`, `realloc` or `free`.
    pub const fn name(&self) -> &'static str {
        match self {
            Kind::Malloc { .. } => "malloc",
            Kind::Calloc { .. } => "calloc",
            Kind::AlignedAlloc { .. } => "aligned_alloc",
            Kind::Realloc { .. } => "realloc",
            Kind::Free { .. } => "free",
        }
    }
}
