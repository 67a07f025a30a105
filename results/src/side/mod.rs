//! Sides: from what the user typed to something that can be built or measured.
//!
//! - `git`: the repository, asked by way of git's own program; changes nothing in it.
//! - `resolve`: a name to a [`Source`].
//! - `export`: a commit or a tree, written into a folder of ours and checked.

mod export;
mod git;
mod resolve;

pub use export::export;
pub use git::Git;
pub use resolve::{Source, default_a, resolve};
