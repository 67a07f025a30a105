//! `cargo stress conform`: what C23, POSIX, the man pages and the C library's manual ask of a
//! `malloc`, each as a check with a name, and the outcome of a program's mistakes.
//!
//! ```text
//! tool ─► cli ─► campaign ─► ending ══ process ══► child_main ─► checks, misuse ─► child
//!          └► allocators └► outcome, misuse::score ─► print
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`tool`] | the steps from arguments to exit code |
//! | [`cli`], [`plan`], [`allocators`] | what is asked for; who is judged |
//! | [`campaign`], [`ending`] | all rows with all allocators; one child, and how it ended |
//! | [`results`] | what came of it all, and what of it must not be |
//! | [`protocol`], [`outcome`] | what a child is asked to do, and its lines; what came of a row |
//! | [`row`] | a row |
//! | [`checks`] | the register of rows, and one file a topic: the values of calls, and the process around them |
//! | [`mistake`], [`misuse`](mod@misuse) | the mistakes; how they are made, the allocators' messages, the score |
//! | [`child_main`] | the child, from its job to its exit status |
//! | [`child`] | what a check stands on: the allocator's functions, blocks, forks, threads without std |
//! | [`print`](mod@print) | table, Markdown, JSON |
//!
//! Each row with each allocator is a process of its own, so that none suffers from another's crash.
//! What the rows ask and how the peers answer: `docs/conformance.md`.
#![warn(unreachable_pub)]

pub mod allocators;
pub mod campaign;
pub mod checks;
pub mod child;
pub mod child_main;
pub mod cli;
pub mod ending;
pub mod mistake;
pub mod misuse;
pub mod outcome;
pub mod plan;
pub mod print;
pub mod protocol;
pub mod results;
pub mod row;
pub mod tool;
