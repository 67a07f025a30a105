//! Building: from a source to an archive or a library, once, ever; and from an archive to as many
//! layouts as there are processes.
//!
//! Everything lies in one folder of ours, the [`Home`]; nothing else is written to.

mod artifact;
mod cargo;
mod home;
mod identical;
mod inputs;
mod link;
mod make;
mod recipe;

pub use artifact::{Artifact, Built};
pub use home::{EVIDENCE, Home, hash_file};
pub use identical::are_identical;
pub use link::Linker;
pub use make::{build, toolchain};
pub use recipe::{Also, Recipe};
