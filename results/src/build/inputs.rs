//! What a build reads, as one hash.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A hash that grows by named parts.
#[derive(Default)]
pub struct Inputs {
    hasher: blake3::Hasher,
}

impl Inputs {
    /// Takes a part. Names and lengths are hashed too, so that no two lists of parts run together.
    pub fn part(&mut self, name: impl AsRef<OsStr>, bytes: &[u8]) {
        for field in [name.as_ref().as_bytes(), bytes] {
            self.hasher.update(&(field.len() as u64).to_le_bytes());
            self.hasher.update(field);
        }
    }

    /// Takes files below `root`, each by its path, mode and bytes.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn files(&mut self, root: &Path, files: &BTreeSet<PathBuf>) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        for file in files {
            let relative = file.strip_prefix(root).unwrap_or(file);
            let data = fs::symlink_metadata(file)?;
            let bytes = match data.file_type().is_symlink() {
                true => fs::read_link(file)?.into_os_string().as_bytes().to_vec(),
                false => {
                    fs::read(file).with_context(|| format!("cannot read {}", file.display()))?
                }
            };
            self.part("executable", &[u8::from(data.permissions().mode() & 0o100 != 0)]);
            self.part(relative, &bytes);
        }
        Ok(())
    }

    /// In hexadecimal.
    pub fn finish(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

/// All files below `path`, itself if it is one; none if it is not there.
///
/// # Errors
/// If a folder cannot be read.
pub fn below(path: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(data) = fs::symlink_metadata(&path) else { continue };
        if data.is_dir() {
            let entries =
                fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
            for entry in entries {
                waiting.push(entry?.path());
            }
        } else {
            found.insert(path);
        }
    }
    Ok(found)
}
