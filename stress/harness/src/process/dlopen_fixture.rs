//! A library that checks and workloads load while the program runs, compiled when it is wanted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use tempfile::TempDir;
use thiserror::Error;

/// The library can't be compiled.
#[derive(Debug, Error)]
pub enum FixtureError {
    /// Its folder or its source can't be written.
    #[error("a temporary folder: {0}")]
    Folder(#[from] std::io::Error),
    /// There is no compiler.
    #[error("{}: {}; install a C compiler", .0.display(), .1)]
    NoCompiler(OsString, std::io::Error),
    /// The compiler fails.
    #[error("{} failed: {}", .0.display(), .1)]
    Failed(OsString, String),
}

/// The library, as long as the tool runs.
#[derive(Debug)]
pub struct DlopenFixture {
    folder: TempDir,
}

impl DlopenFixture {
    /// Compiles it.
    ///
    /// # Errors
    /// There is no C compiler, or it fails.
    pub fn compile() -> Result<DlopenFixture, FixtureError> {
        let folder = tempfile::tempdir()?;
        let (source, library) = (folder.path().join("dlopen_fixture.c"), path_in(folder.path()));
        fs::write(&source, include_str!("dlopen_fixture.c"))?;
        let compiler = env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
        let output = Command::new(&compiler)
            .args(["-shared", "-fPIC", "-O1", "-pthread", "-o"])
            .args([&library, &source])
            .output();
        let output = match output {
            Ok(output) => output,
            Err(error) => return Err(FixtureError::NoCompiler(compiler, error)),
        };
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(FixtureError::Failed(compiler, said));
        }
        Ok(DlopenFixture { folder })
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        path_in(self.folder.path())
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("loaded.so")
}
