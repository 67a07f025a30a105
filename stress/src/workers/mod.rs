//! What the workers of a run do. Each workload is a file.

pub mod crew;
pub mod duel;
pub mod foreign_duel;
pub mod gate;
pub mod mixed;
pub mod replay;
