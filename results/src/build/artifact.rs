//! What building leaves.

use std::path::{Path, PathBuf};

/// What is measured of a side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Artifact {
    /// Linked anew for each process.
    Archive(PathBuf),
    /// Copied for each process: one layout.
    Library(PathBuf),
}

impl Artifact {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Archive(path) | Self::Library(path) => path,
        }
    }
}

/// A side, ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// What is measured.
    pub artifact: Artifact,
    /// BLAKE3 of what it was built from.
    pub inputs: String,
}
