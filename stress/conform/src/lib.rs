//! `cargo stress conform`: what C23, POSIX, the man pages and the C library's manual ask of a `malloc`,
//! each as a check with a name, and what becomes of a program's mistakes.
//!
//! ```text
//! tool ─► cli ─► campaign ─► launch ══ process ══► child ─► checks, misuse ─► heap ─► subject
//!          └► subjects          └► outcome, score ─► print
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`tool`] | the steps from arguments to exit code |
//! | [`cli`], [`subjects`] | what is asked for; who is judged |
//! | [`campaign`], [`launch`] | all rows with all subjects; one child with its deadline |
//! | [`job`], [`child`] | what a child is asked to do; how it does it, and what it prints |
//! | [`outcome`] | what came of a row |
//! | [`rows`], [`checks`] | the register of rows; the semantics, one file a topic |
//! | [`misuse`](mod@misuse) | the mistakes, the allocators' messages, the score |
//! | [`heap`], [`forks`], [`pthreads`] | the subject's functions and blocks; forked children; threads without std |
//! | [`print`](mod@print) | table, Markdown, JSON |
//!
//! Each row with each subject is a process of its own, so that none suffers from another's crash. What the
//! rows ask and how the peers answer: `docs/conformance.md`.

pub mod campaign;
pub mod checks;
pub mod child;
pub mod cli;
pub mod forks;
pub mod heap;
pub mod job;
pub mod launch;
pub mod misuse;
pub mod outcome;
pub mod print;
pub mod pthreads;
pub mod rows;
pub mod subjects;
pub mod tool;
