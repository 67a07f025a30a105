//! What the workers of a run do, a file or folder for each workload.
//!
//! A round goes from rest to rest: it begins and ends with nothing live, and its seed determines
//! what every worker asks for. Whatever is wrong is raised where it is seen; no workload returns
//! it. The run calls them, and `cost` the mixed one.

pub mod churn;
pub mod double_free;
pub mod double_free_external;
pub mod false_sharing;
pub mod fork_join;
pub mod handoff;
pub mod lifecycle;
pub mod memory;
pub mod misuse;
pub mod mixed;
pub mod pairs;
pub mod slots;
pub mod steady;
pub mod thread_storm;
pub mod trace;
