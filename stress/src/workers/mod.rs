//! What the workers of a run do. Each workload is a file.

pub mod churn;
pub mod crew;
pub mod duel;
pub mod everyday;
pub mod false_sharing;
pub mod foreign_duel;
pub mod fork_join;
pub mod gate;
pub mod handoff;
pub mod hostile;
pub mod lifecycles;
pub mod mixed;
pub mod replay;
pub mod slots;
pub mod thread_storm;
