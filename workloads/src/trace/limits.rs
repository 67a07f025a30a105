//! The most that a trace can hold.

/// The most operations that a trace can hold (about 67 million; in memory 2 GiB).
pub const MAX_OPS: usize = 1 << 26;
/// The most bytes of a trace's command line.
pub const COMMAND_LIMIT: usize = 4096;
