//! `cargo stress programs`: real programs under a preloaded allocator. What they say and write is
//! compared with what they say and write without it; each run proves that the library served it;
//! time and peak stand beside glibc's.
//!
//! ```text
//! tool ─► cli ─► campaign ─► stage ─► command ══ process ══► the program, allocator preloaded
//!          │        └► judge, account                 └ counter.c, if the allocator counts nothing
//!          └► catalogue ─► generated
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`tool`] | the steps from arguments to exit code |
//! | [`cli`], [`catalogue`], [`generated`] | what is asked for; the programs; what they work on |
//! | [`campaign`] | the runs, several programs at once, each pair interleaved |
//! | [`stage`], [`command`] | a program's folder and its commands; one command, through a process in between |
//! | [`account`] | the calls that an allocator served |
//! | [`judge`] | what two runs differ in |
//! | [`print`](mod@print) | table, Markdown, JSON |
//!
//! What each program does, and how to read the table: `docs/programs.md`.

pub mod account;
pub mod campaign;
pub mod catalogue;
pub mod cli;
pub mod command;
pub mod generated;
pub mod judge;
pub mod print;
pub mod stage;
pub mod tool;
