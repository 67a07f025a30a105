//! Groups on several threads.

pub mod handoff;
pub mod life;
pub mod private;
pub mod remote;
pub mod shared;
