//! `cargo stress cost`: what the checker costs, in time and in memory.
//!
//! ```text
//! tool ─► cli ─► campaign ─► bench::launch ══ process ══► child ─► workers::mixed ─► checker ─► allocator
//!   └► judge, print
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`tool`] | the steps from arguments to exit code |
//! | [`cli`], [`setups`] | what is asked for; with which checks each allocator is run |
//! | [`campaign`], [`child`], [`job`] | the rounds in random order; one measurement; what is said between them |
//! | [`judge`], [`print`](mod@print) | figures and bounds; table, Markdown, JSON |
//!
//! What is measured and how to read it: `docs/stress.md`.

pub mod campaign;
pub mod child;
pub mod cli;
pub mod job;
pub mod judge;
pub mod print;
pub mod setups;
pub mod tool;
