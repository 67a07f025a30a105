//! Allocators measured from outside, as shared libraries that are preloaded: [`bench`](mod@bench)
//! runs small workloads in processes of their own, [`programs`] real programs.
#![warn(unreachable_pub)]

pub mod bench;
pub mod programs;
