//! Groups on one thread.

pub mod aligned;
pub mod bulk;
pub mod calloc;
pub mod free_blocks;
pub mod pair;
pub mod realloc;
pub mod rejected;
pub mod resize;
pub mod ring;
pub mod trace;
