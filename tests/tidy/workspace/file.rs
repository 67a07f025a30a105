//! A file, and what is known of it.

use std::collections::BTreeMap;

use crate::source::facts::Facts;

/// One file; without text if it isn't UTF-8.
#[derive(Debug, Default)]
pub struct File {
    pub text: String,
    /// Of a Rust file.
    pub facts: Option<Facts>,
}

/// By path below the root, with `/`.
pub type Files = BTreeMap<String, File>;

/// What is known of a Rust file.
pub fn facts<'f>(files: &'f Files, file: &str) -> Option<&'f Facts> {
    files.get(file)?.facts.as_ref()
}
