//! `cargo stress bench`: the suite of "How fast, how small", every subject in a process of its own.
//!
//! ```text
//! tool ─► cli ─► campaign ─► launch ══ process ══► child ─► work ─► subject
//!          │        └► statistics ─► bounds ─► print
//!          └► subjects, suite
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`tool`] | the steps from arguments to exit code |
//! | [`cli`], [`suite`] | what is asked for; the rows |
//! | [`campaign`], [`launch`] | the rounds in random order; one child with its deadline |
//! | [`child`], [`work`], [`usage`], [`line`](mod@line), `lock` | one measurement; what each row does; peak and faults; how far two threads are apart; how often ours locks |
//! | [`bounds`] | what is to be reached |
//! | [`print`](mod@print) | table, Markdown, JSON |
//! | [`instructions`] | `cargo stress bench instructions`: a warm pair under callgrind |
//!
//! What every row does and how to read the tables: `docs/bench.md`.

pub mod bounds;
pub mod campaign;
pub mod child;
pub mod cli;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod instructions;
pub mod launch;
pub mod line;
mod lock;
pub mod print;
pub mod suite;
pub mod tool;
pub mod usage;
pub mod work;
