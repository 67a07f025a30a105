//! What the stress tool and its kin share, and what has no opinion about allocators: launching and
//! preloading, seeds, statistics, tables, progress, texts. [`memory`] is the harness's own allocator,
//! installed in every binary that links this.
#![warn(missing_docs, missing_debug_implementations)]

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
