//! The repository as the checks see it.
//!
//! `file`, `manifest` (packages and their targets) < `crates` (the modules of a target) < `tree`
//! (all files, read once) < `names` (what a path leads to) < `imports` (which file names something
//! of which).

mod crates;
mod file;
pub mod imports;
mod manifest;
mod names;
mod tree;

pub use manifest::{Use, join};
pub use tree::Tree;
