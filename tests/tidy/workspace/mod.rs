//! The repository as the checks see it.
//!
//! `manifest` (packages and their targets) < `tree` (all files, read once) < `crates` (the modules
//! of a target) < `names` (what a path leads to) < `imports` (which file names something of which).

mod crates;
pub mod imports;
mod manifest;
mod names;
mod tree;

pub use manifest::{Use, join};
pub use tree::Tree;
