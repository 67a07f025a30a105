//! The words of a journal: which call was made, and on which block.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A block's name in a journal: who asked for it, and its sequence number among that worker's
/// blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// The worker.
    pub owner: usize,
    /// The block's number among the worker's, from 0.
    pub sequence: u64,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.owner, self.sequence)
    }
}

/// A call of the allocator, or a moment between calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the fields are the arguments of C's functions, in bytes")]
pub enum Call {
    Malloc {
        size: usize,
    },
    Calloc {
        count: usize,
        size: usize,
    },
    AlignedAlloc {
        alignment: usize,
        size: usize,
    },
    /// `realloc(null, size)`
    ReallocNull {
        size: usize,
    },
    /// `free(null)`
    FreeNull,
    /// The block keeps its name.
    Realloc {
        block: Name,
        size: usize,
    },
    Free {
        block: Name,
    },
    /// The block is read through and stays.
    Verify {
        block: Name,
    },
    /// `realloc` to a size that no allocator has: to be rejected, as the next three are. The block
    /// stays.
    #[serde(alias = "refused-resize")]
    ImpossibleResize {
        block: Name,
        size: usize,
    },
    #[serde(alias = "refused-malloc")]
    ImpossibleMalloc {
        size: usize,
    },
    #[serde(alias = "refused-calloc")]
    ImpossibleCalloc {
        count: usize,
        size: usize,
    },
    #[serde(alias = "refused-aligned")]
    ImpossibleAligned {
        alignment: usize,
        size: usize,
    },
    /// The worker's thread begins; the one before it has exited.
    Begin,
    /// Everything is freed, and the heap was looked over.
    Rest,
    /// The run is over: the heap gave back what it could.
    End,
    /// The block was given to work that goes past the checker, of which the journal knows nothing.
    GiveUp {
        block: Name,
    },
}

impl Call {
    /// The block that is used, except those that the call makes.
    pub fn block(self) -> Option<Name> {
        match self {
            Call::Realloc { block, .. }
            | Call::Free { block }
            | Call::Verify { block }
            | Call::ImpossibleResize { block, .. }
            | Call::GiveUp { block } => Some(block),
            _ => None,
        }
    }

    /// The same call on another block.
    #[must_use]
    pub fn with_block(self, block: Name) -> Self {
        match self {
            Call::Realloc { size, .. } => Call::Realloc { block, size },
            Call::Free { .. } => Call::Free { block },
            Call::Verify { .. } => Call::Verify { block },
            Call::ImpossibleResize { size, .. } => Call::ImpossibleResize { block, size },
            Call::GiveUp { .. } => Call::GiveUp { block },
            other => other,
        }
    }

    /// Whether the call makes a block with a name of its own.
    pub fn allocates(self) -> bool {
        matches!(
            self,
            Call::Malloc { .. }
                | Call::Calloc { .. }
                | Call::AlignedAlloc { .. }
                | Call::ReallocNull { .. }
        )
    }

    /// Whether the call returns an address that is written down.
    pub(super) fn returns(self) -> bool {
        self.allocates() || matches!(self, Call::Realloc { .. })
    }

    /// Bytes asked for, where the call asks for some.
    pub fn size(self) -> Option<usize> {
        match self {
            Call::Malloc { size }
            | Call::AlignedAlloc { size, .. }
            | Call::ReallocNull { size }
            | Call::Realloc { size, .. } => Some(size),
            Call::Calloc { count, size } => Some(count.saturating_mul(size)),
            _ => None,
        }
    }
}

/// As in C.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Call::Malloc { size } => write!(f, "malloc({size})"),
            Call::Calloc { count, size } => write!(f, "calloc({count}, {size})"),
            Call::AlignedAlloc { alignment, size } => {
                write!(f, "aligned_alloc({alignment}, {size})")
            }
            Call::ReallocNull { size } => write!(f, "realloc(NULL, {size})"),
            Call::FreeNull => write!(f, "free(NULL)"),
            Call::Realloc { block, size } => write!(f, "realloc(block {block}, {size})"),
            Call::Free { block } => write!(f, "free(block {block})"),
            Call::Verify { block } => write!(f, "every byte of block {block} is read"),
            Call::ImpossibleResize { block, size } => write!(f, "realloc(block {block}, {size})"),
            Call::ImpossibleMalloc { size } => write!(f, "malloc({size})"),
            Call::ImpossibleCalloc { count, size } => write!(f, "calloc({count}, {size})"),
            Call::ImpossibleAligned { alignment, size } => {
                write!(f, "aligned_alloc({alignment}, {size})")
            }
            Call::Begin => write!(f, "a new thread"),
            Call::Rest => write!(f, "all is freed, the heap is looked over"),
            Call::End => write!(f, "the end: the heap gives back what it can"),
            Call::GiveUp { block } => write!(f, "block {block} is freed past the checker"),
        }
    }
}
