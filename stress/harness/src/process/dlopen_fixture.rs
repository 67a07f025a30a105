//! A library that checks and workloads load while the program runs, compiled when it is wanted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use tempfile::TempDir;

/// The library, as long as the tool runs.
#[derive(Debug)]
pub struct DlopenFixture {
    folder: TempDir,
}

impl DlopenFixture {
    /// Compiles it.
    ///
    /// # Errors
    /// A sentence: there is no C compiler, or it fails.
    pub fn compile() -> Result<DlopenFixture, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("a temporary folder: {error}"))?;
        let (source, library) = (folder.path().join("dlopen_fixture.c"), path_in(folder.path()));
        fs::write(&source, include_str!("dlopen_fixture.c")).map_err(|error| error.to_string())?;
        let compiler = env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
        let output = Command::new(&compiler)
            .args(["-shared", "-fPIC", "-O1", "-pthread", "-o"])
            .args([&library, &source])
            .output()
            .map_err(|error| format!("{}: {error}; install a C compiler", compiler.display()))?;
        match output.status.success() {
            true => Ok(DlopenFixture { folder }),
            false => Err(format!(
                "{} failed: {}",
                compiler.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            )),
        }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        path_in(self.folder.path())
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("loaded.so")
}
