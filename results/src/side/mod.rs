//! Sides: from what the user typed to something that can be built or measured.
//!
//! - `git`: the repository, asked by way of git's own program; changes nothing in it. What of it is
//!   a [`Source`].
//! - `resolve`: a name to a source.
//! - `export`: a commit or a tree, written into a folder of ours and checked.

mod export;
mod git;
mod resolve;

pub use export::export;
pub use git::{Git, Source};
pub use resolve::{default_a, resolve};
