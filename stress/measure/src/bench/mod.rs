//! `cargo stress bench`: the suite of "How fast, how small", every allocator in a process of its
//! own.
//!
//! ```text
//! tool ─► cli ─► campaign ─► launch ══ process ══► child ─► work ─► allocator
//!          └► suite └► bounds ─► print
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`tool`] | the steps from arguments to exit code |
//! | [`cli`], [`suite`] | what is asked for; the rows |
//! | [`campaign`], [`launch`] | the rounds in random order; one child, and what came of it |
//! | [`job`] | what a child is asked to do, and what it answers |
//! | [`child`], [`work`], [`probe`] | one measurement; what each row does; what is read beside it |
//! | [`bounds`], [`means`] | what is to be reached; geometric means over the rows |
//! | [`print`](mod@print) | table, Markdown, JSON |
//! | [`instructions`] | `cargo stress bench instructions`: warm pairs of calls under callgrind |
//!
//! What every row does and how to read the tables: `docs/bench.md`.

pub mod bounds;
pub mod campaign;
pub mod child;
pub mod cli;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod instructions;
pub mod job;
pub mod launch;
pub mod means;
pub mod print;
pub mod probe;
pub mod suite;
pub mod tool;
pub mod work;
