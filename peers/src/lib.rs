//! Other allocators, linked in for the benchmarks: what `ListHeap` is measured against.
//!
//! Each module holds one allocator as a table of functions ([`drystone_workloads::calls::Calls`]),
//! the version that was linked, a way to recognise its blocks, and a way to give idle memory back.
//! Nothing here replaces the process's own allocator. For the benchmarks only: no other package may
//! use it.

pub mod mimalloc;
pub mod system;
