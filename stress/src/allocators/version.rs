//! Which version of an allocator it was: a finding is of one, and may be gone in the next.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use drystone_harness::library::LibraryError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::allocators::process::SYSTEM;
use crate::model::spec::Spec;

/// An allocator's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// What it says of itself: a package's version, the C library's. A library has no common way to
    /// say so.
    pub name: String,
    /// The file that holds its code.
    pub file: PathBuf,
    /// The file's SHA-256, hexadecimal: equal files are equal allocators.
    pub sha256: String,
}

/// It is not known which version it is.
#[derive(Debug, Error)]
pub enum VersionError {
    /// Nor which file the C library is.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The file can't be read.
    #[error("{}: {error}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the OS says.
        error: io::Error,
    },
}

impl Version {
    /// The version of the allocator of `spec`, in this program or the library.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn of(spec: &Spec, program: &Path) -> Result<Self, VersionError> {
        let (name, file) = match &spec.library {
            Some(library) => {
                let name = library.file_name().unwrap_or(library.as_os_str());
                (name.to_string_lossy().into_owned(), library.clone())
            }
            None if spec.allocator == SYSTEM.name => {
                // SAFETY: returns a C string that lives as long as the process.
                let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
                let library = drystone_harness::library::system_library()?;
                (format!("glibc {}", version.to_string_lossy()), library)
            }
            None => {
                let name = format!("drystone {}, linked in", env!("CARGO_PKG_VERSION"));
                (name, program.to_owned())
            }
        };
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) => return Err(VersionError::Unreadable { file, error }),
        };
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { name, file, sha256 })
    }
}

/// Name, file, and the beginning of the hash.
impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = self.sha256.get(..12).unwrap_or(&self.sha256);
        write!(f, "{} ({}, sha256 {short}…)", self.name, self.file.display())
    }
}
