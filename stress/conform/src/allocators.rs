//! Who is judged: a library of the benchmark runner's, or the C library, with its settings.

use std::ffi::OsStr;
use std::path::PathBuf;

use drystone_harness::allocators::{self, AllocatorError, DRYSTONE, Folders, SYSTEM};
use drystone_harness::text::size;
use serde::Serialize;
use thiserror::Error;

/// The same with its quarantine on.
pub const QUARANTINE: &str = "drystone-quarantine";
/// What turns it on: 16 MiB, so that the largest blocks of the mistakes fit.
const QUARANTINE_ON: (&str, &str) = ("DRYSTONE_QUARANTINE", "16777216");

/// An allocator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Allocator {
    /// As it is printed.
    pub name: String,
    /// What is preloaded; none for the C library's own.
    pub library: Option<PathBuf>,
    /// As whoever built it says.
    pub version: String,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
}

impl Allocator {
    /// Whether it promises to report every double and invalid free: it is judged by its score then.
    pub fn promises_reports(&self) -> bool {
        let name = self.library.as_ref().and_then(|library| library.file_name());
        name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"libdrystone.so"))
    }

    /// Whether it promises to report a write to a block of `size` bytes after its free: it has a
    /// quarantine, with room for the block and what it is rounded up to.
    pub fn promises_write_reports(&self, size: usize) -> bool {
        self.promises_reports() && self.quarantine() >= 2 * size
    }

    /// Bytes of its quarantine, 0 without. Of a variable that is given twice the last counts.
    fn quarantine(&self) -> usize {
        let value = self.env.iter().rev().find(|(name, _)| name == QUARANTINE_ON.0);
        value.and_then(|(_, bytes)| quarantine_bytes(bytes)).unwrap_or(0)
    }
}

/// The bytes that a value of `DRYSTONE_QUARANTINE` means to the library: digits, and K, M or G. It
/// takes no other text for a size, such as 64KB, and then there is no quarantine.
fn quarantine_bytes(text: &str) -> Option<usize> {
    let digits = text.strip_suffix(['K', 'k', 'M', 'm', 'G', 'g']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { size::parse(text).ok()?.try_into().ok() } else { None }
}

/// A text that is no variable for an allocator.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VariableError {
    /// One that the tool sets itself.
    #[error("LD_PRELOAD is set by --allocator")]
    Preload,
    /// Without a name, or without an equals sign.
    #[error("`{0}` is no variable: write NAME=VALUE")]
    NoVariable(String),
}

/// The allocator that `text` means, with `env` besides.
///
/// # Errors
/// It means none, or one that is not here.
pub fn choose(
    text: &str,
    folders: &Folders,
    env: &[(String, String)],
) -> Result<Allocator, AllocatorError> {
    let mut env = env.to_vec();
    let found = match text {
        QUARANTINE => {
            env.push((QUARANTINE_ON.0.to_owned(), QUARANTINE_ON.1.to_owned()));
            allocators::Allocator { name: QUARANTINE.to_owned(), ..folders.choose(DRYSTONE)? }
        }
        _ => folders.choose(text)?,
    };
    let allocators::Allocator { name, library, version } = found;
    Ok(Allocator { name, library, version, env })
}

/// The C library's allocator, and ours if it is built, with and without its quarantine.
///
/// # Errors
/// One of them can't be used.
pub fn usual(
    folders: &Folders,
    env: &[(String, String)],
) -> Result<Vec<Allocator>, AllocatorError> {
    let mut names = vec![SYSTEM];
    if folders.choose(DRYSTONE).is_ok() {
        names.extend([DRYSTONE, QUARANTINE]);
    }
    names.into_iter().map(|name| choose(name, folders, env)).collect()
}

/// A variable as it is written on the command line: `NAME=VALUE`.
///
/// # Errors
/// It is none, or not one to set so.
pub fn variable(text: &str) -> Result<(String, String), VariableError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && OsStr::new(name) != "LD_PRELOAD" => {
            Ok((name.to_owned(), value.to_owned()))
        }
        Some(("LD_PRELOAD", _)) => Err(VariableError::Preload),
        _ => Err(VariableError::NoVariable(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_quarantine_with_room_for_the_block_promises_to_report_writes() {
        let with = |file: &str, env: &[(&str, &str)]| Allocator {
            name: "one".to_owned(),
            library: Some(PathBuf::from(file)),
            version: String::new(),
            env: env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        };
        let promises =
            |env: &[(&str, &str)]| with("libdrystone.so", env).promises_write_reports(4096);
        assert!(promises(&[QUARANTINE_ON]));
        assert!(!promises(&[]));
        for enough in ["8192", "8K", "64k", "16M", "1G"] {
            assert!(promises(&[("DRYSTONE_QUARANTINE", enough)]), "{enough}");
        }
        // Too few, or no size to the library.
        for none in ["0", "4096", "4K", "lots", "", "K", "64KB", "64 K", "1.5M"] {
            assert!(!promises(&[("DRYSTONE_QUARANTINE", none)]), "{none}");
        }
        assert!(!promises(&[QUARANTINE_ON, ("DRYSTONE_QUARANTINE", "0")]));
        assert!(!with("libother.so", &[QUARANTINE_ON]).promises_write_reports(4096));
    }
}
