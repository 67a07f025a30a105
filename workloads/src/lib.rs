//! What programs do to allocators, as data: a seed gives a stream of operations; a recorded trace
//! is one more source. Nothing here knows any allocator: what a workload calls is a
//! [`calls::Calls`].
//!
//! | module | feature | holds |
//! |---|---|---|
//! | [`calls`], [`heap`] | | an allocator as a workload sees it; the same for what is measured |
//! | [`errno`] | | the calling thread's `errno` |
//! | [`splitmix`] | | one word after the other from a seed |
//! | [`workers`], [`bounded_queue`] | | threads that work at the same time; blocks on their way |
//! | `registry` | `streams` | every workload by its name: source, parameters |
//! | `sizes`, `patterns`, `mixed` | `streams` | what is asked for, and in which order |
//! | `slots` | `streams` | streams over numbered slots: most of the named workloads |
//! | `trace` | `streams` | what real programs asked for; without the feature only what the recorder writes |
//! | `committed` | `streams` | the recorded traces that come with the harness |
//! | `cli` | `tool` | `--format`, `--color` and durations of every tool; its pages for `man` |
//!
//! The program `trace` is the feature `tool` too. Both features are on by default.
#![warn(unreachable_pub)]

pub mod bounded_queue;
pub mod calls;
#[cfg(feature = "tool")]
pub mod cli;
#[cfg(feature = "streams")]
pub mod committed;
pub mod errno;
pub mod heap;
#[cfg(feature = "streams")]
pub mod mixed;
#[cfg(feature = "streams")]
pub mod patterns;
#[cfg(feature = "streams")]
pub mod registry;
#[cfg(feature = "streams")]
pub mod sizes;
#[cfg(feature = "streams")]
pub mod slots;
pub mod splitmix;
#[cfg(feature = "streams")]
pub mod trace;
/// The recorder's part alone: it needs nothing else.
#[cfg(not(feature = "streams"))]
pub mod trace {
    pub mod raw;
}
pub mod workers;
