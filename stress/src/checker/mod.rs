//! What must be true of an allocator, each check in a file of its own. Nothing here knows a workload.

pub mod checked;
pub mod checks;
pub mod errno;
pub mod identity;
pub mod overlap;
pub mod schedule;
pub mod witness;
