//! Where things stand in the file that a process and its supervisor share; see [`super`] for the
//! picture.

use std::sync::atomic::AtomicU64;

/// Bytes of all parts together, unless the workers are so many that each would have less than a
/// part needs: then there are `2 * SLACK` for each, 3 GiB for 512. They are touched as they fill,
/// and used again by the next episode.
const BYTES: usize = 96 << 20;

/// When a part has less room than this, the episode comes to its end: what workers still do until
/// they rest, which is to free everything and to allocate it once more, must fit.
pub(super) const SLACK: usize = 3 << 20;

/// Bytes before the first part.
pub(super) const HEADER: usize = 4096;
/// Bytes before the first entry of a part.
pub(super) const STATE: usize = 128;

/// Bytes of one part, for so many workers.
pub(super) fn part_bytes(workers: usize) -> usize {
    ((BYTES / workers) & !(STATE - 1)).max(2 * SLACK)
}

/// What the writer of a part needs to know. Atomic because a file that is shared may be read at any
/// time; there is one writer, so loads and stores are enough.
#[derive(Debug)]
#[repr(C)]
pub(super) struct State {
    /// Bytes of entries.
    pub(super) written: AtomicU64,
    /// When the last entry began, ns since the journal was opened.
    pub(super) last: AtomicU64,
    /// The last address that was written down.
    pub(super) address: AtomicU64,
    /// 1 once an entry was lost for want of room.
    pub(super) full: AtomicU64,
    /// How many blocks the worker has made.
    pub(super) sequence: AtomicU64,
}

const _: () = assert!(size_of::<State>() <= STATE);
