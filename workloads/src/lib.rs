//! What programs do to allocators, as data: a seed gives a stream of operations; a recorded trace is
//! one more source. Nothing here knows any allocator: what a workload calls is a [`calls::Calls`].
//!
//! | module | holds |
//! |---|---|
//! | [`registry`] | every workload by its name: source, parameters |
//! | [`sizes`], [`patterns`], [`mixed`] | what is asked for, and in which order |
//! | [`slots`] | streams over numbered slots: most of the named workloads |
//! | [`trace`] | what real programs asked for |
//! | [`calls`], [`heap`] | an allocator as a workload sees it; the same for what is measured |
//! | [`workers`], [`bounded_queue`] | threads that work at the same time; blocks on their way between two |

pub mod bounded_queue;
pub mod calls;
pub mod errno;
pub mod heap;
pub mod mixed;
pub mod patterns;
pub mod registry;
pub mod sizes;
pub mod slots;
pub mod trace;
pub mod workers;
