//! What the workers of a run do. Each workload is a file.

pub mod churn;
pub mod double_free;
pub mod double_free_external;
pub mod false_sharing;
pub mod fork_join;
pub mod handoff;
pub mod lifecycle;
pub mod misuse;
pub mod mixed;
pub mod slots;
pub mod thread_storm;
pub mod trace;
