//! The figures of an engine's parts.

/// A class's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStats {
    /// Slabs.
    pub slabs: usize,
    /// Live blocks.
    pub live: usize,
    /// Blocks that the slabs can hold.
    pub capacity: usize,
}

/// The figures of the layers below the heaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerStats {
    /// Bytes of address space in arenas.
    pub reserved_bytes: usize,
    /// Of those: in spans of slabs, except empty ones that were left to others.
    pub span_bytes: usize,
    /// Of all: in these, and in free spans that may be resident.
    pub idle_bytes: usize,
    /// Bytes given back to the OS, ever.
    pub purged_bytes: u64,
    /// Bytes of headers and ledgers, of address space.
    pub header_bytes: usize,
    /// Bytes of huge blocks' mappings.
    pub huge_bytes: usize,
    /// Bytes of mappings that wait for their next huge block.
    pub kept_bytes: usize,
    /// Heaps that were ever made.
    pub heaps: usize,
    /// Slabs made, given back, and reclaimed from exited threads, ever.
    pub slabs_made: u64,
    /// As above.
    pub slabs_given_back: u64,
    /// As above.
    pub slabs_reclaimed: u64,
    /// How often the span lock was taken.
    pub locked: u64,
    /// For how many nanoseconds, since [`Engine::time_lock`](crate::engine::Engine::time_lock).
    pub held: u64,
}
