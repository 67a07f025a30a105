//! The data that parent and child, runner and report share: what is run, what is said, what was
//! found.
//!
//! | file | holds |
//! |---|---|
//! | [`runs`], [`spec`], [`job`] | the planned runs; one run; what a child is handed besides |
//! | [`message`] | what a child says on its standard output |
//! | [`finding`], [`outcome`], [`sample`] | what came of a run, and how it went |
//! | [`injection`] | which calls to the OS fail, and by whom |
//! | [`suppressions`] | faults that are counted, and no findings |
//! | [`shard`] | a campaign's part on one machine |
//! | [`fork_page`] | what a forked child of the child says |
//!
//! Plain data: it is written to disk and between processes, so that fields keep their meaning, and
//! a field that gets a new name is still read by its old one. Every room may use it; it uses none.

pub mod finding;
pub mod fork_page;
pub mod injection;
pub mod job;
pub mod message;
pub mod outcome;
pub mod runs;
pub mod sample;
pub mod shard;
pub mod spec;
pub mod suppressions;
