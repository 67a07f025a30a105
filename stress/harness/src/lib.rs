//! What the stress tool and its kin share, and what has no opinion about allocators.
//!
//! | module | holds |
//! |---|---|
//! | [`process`] | child processes: the launcher, the children's entry, preloading, a library to load, resources |
//! | [`allocators`], [`library`] | who is meant by a name; which file is a library, and who serves a process |
//! | [`entry`], [`exit`], [`stop`] | a tool's first and last steps; exit codes; the deadline and Ctrl-C |
//! | [`seed`], [`stats`], [`bounds`] | seeds; medians and intervals; bounds that figures are judged by |
//! | [`output`], [`text`] | tables, JSON, progress; what people write and read |
//! | [`usage`] | a process's memory and faults, by its own account |
//! | [`memory`] | the harness's own allocator, installed in every binary that links this |
//! | [`fixtures`] | for tests of the tools |
#![warn(unreachable_pub)]

pub mod allocators;
pub mod bounds;
pub mod entry;
pub mod exit;
pub mod fixtures;
pub mod library;
pub mod memory;
pub mod output;
pub mod process;
pub mod seed;
pub mod stats;
pub mod stop;
pub mod text;
pub mod usage;
