//! Why a trace could not be read, made or written, each in one sentence that names what to change.

use std::path::PathBuf;

/// A failure that concerns a file.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file could not be opened, read, written or renamed.
    #[error("cannot {doing} {}: {reason}", path.display())]
    Io {
        /// What was tried: a verb that the path can follow.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The file was read, and what it holds is no trace that can be used.
    #[error("{}: {problem}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with bytes that should have been a trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The first eight bytes are neither magic.
    #[error(
        "this is not an allocation trace; give a file written by libdrystone_trace.so or by `trace \
         pack`"
    )]
    NotATrace,
    /// Written by another version of this software.
    #[error(
        "this {form} trace has version {found}, and this build reads version {known}; record it \
         again, or use the build that wrote it"
    )]
    UnknownVersion {
        /// `raw` or `packed`.
        form: &'static str,
        /// The version in the header.
        found: u32,
        /// The version that this build reads.
        known: u32,
    },
    /// The file ends before its content does.
    #[error("the file ends inside {inside}; copy or record it again")]
    Truncated {
        /// What the reader was in the middle of.
        inside: &'static str,
    },
    /// The bytes contradict themselves.
    #[error("the file is damaged ({what}); copy or record it again")]
    Corrupt {
        /// What was found.
        what: String,
    },
    /// Nothing to replay.
    #[error(
        "the trace holds no operations ({records} raw records); was the recorder preloaded into \
         the program itself, is the program dynamically linked, and does it allocate?"
    )]
    Empty {
        /// Records seen, all of them frees of blocks older than the recording.
        records: u64,
    },
    /// More operations than [`MAX_OPS`](super::op::MAX_OPS).
    #[error(
        "the trace holds more than {limit} operations; record a shorter run",
        limit = super::op::MAX_OPS
    )]
    TooLong,
    /// The operations are no possible history.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// An operation that no program can have done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("operation {index} is impossible: {reason}; the trace is damaged, record it again")]
pub struct Invalid {
    /// The operation's place in the trace's order, from 0.
    pub index: usize,
    /// What rule it breaks.
    pub reason: Impossible,
}

/// The rules of a history; see [`Trace::validate`](super::Trace::validate).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// A free or realloc of a block that has ended, or that was never made.
    #[error("block {0} is not live")]
    NotLive(u32),
    /// A birth whose number is not the next one.
    #[error("block {found} is made where block {expected} is next")]
    OutOfTurn {
        /// The number that the operation gives.
        found: u32,
        /// The number that is next.
        expected: u32,
    },
    /// A thread that appears before one with a lower number.
    #[error("thread {found} appears where thread {expected} is next")]
    UnknownThread {
        /// The number that the operation gives.
        found: u32,
        /// The lowest number not seen yet.
        expected: u32,
    },
    /// An alignment that is not a power of two.
    #[error("alignment {0} is not a power of two")]
    Alignment(usize),
    /// A size over `PTRDIFF_MAX`, which no allocator grants, or a sum of live sizes over it.
    #[error("{0} bytes cannot be allocated")]
    Size(u64),
}
