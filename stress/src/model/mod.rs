//! The data that parent and child, runner and report share: what is run, what is told, what was found.

pub mod finding;
pub mod fork_page;
pub mod injection;
pub mod job;
pub mod message;
pub mod outcome;
pub mod sample;
pub mod shard;
pub mod spec;
pub mod suppressions;
