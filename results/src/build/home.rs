//! The tool's own folder.
//!
//! ```text
//! <home>/              $DRYSTONE_RESULTS_HOME, else drystone-results in the user's cache folder
//!   lock               held while something is built: there is one tree
//!   tree/              what is being built; always the same path, so that paths in it are equal
//!   target/            cargo's, shared by all sides: dependencies are compiled once
//!   built/<key>/       what a side was built to: the archive, the library
//!   runs/<run>/        a comparison: evidence.jsonl, and what the stress tool found
//!   calibrations/      what is known of this tool, by machine and program
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The name of a comparison's evidence in its folder.
pub const EVIDENCE: &str = "evidence.jsonl";

/// The folder.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Finds it, and makes it if it is not there.
    ///
    /// # Errors
    /// If there is no place for it.
    pub fn open() -> Result<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = variable("DRYSTONE_RESULTS_HOME")
            .map(PathBuf::from)
            .or_else(|| {
                variable("XDG_CACHE_HOME").map(|cache| Path::new(&cache).join("drystone-results"))
            })
            .or_else(|| {
                variable("HOME").map(|home| Path::new(&home).join(".cache/drystone-results"))
            })
            .context("there is no home folder: set DRYSTONE_RESULTS_HOME")?;
        fs::create_dir_all(&root).with_context(|| {
            format!("cannot make {}: set DRYSTONE_RESULTS_HOME", root.display())
        })?;
        Ok(Self { root: root.canonicalize()? })
    }

    /// Waits until nobody else builds here. The lock is given up when the file is dropped, by a
    /// kill too.
    ///
    /// # Errors
    /// If the file cannot be made or locked.
    pub fn lock(&self) -> Result<File> {
        let file = File::create(self.root.join("lock")).context("cannot make the lock file")?;
        if file.try_lock().is_err() {
            eprintln!("waiting for another comparison to finish its build");
            file.lock().context("cannot lock the folder of builds")?;
        }
        Ok(file)
    }

    /// An empty folder for the tree to be built. Whoever calls this holds the lock.
    ///
    /// # Errors
    /// If the last one cannot be removed.
    pub fn empty_tree(&self) -> Result<PathBuf> {
        let tree = self.root.join("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree)
                .with_context(|| format!("cannot empty {}", tree.display()))?;
        }
        fs::create_dir_all(&tree)?;
        Ok(tree)
    }

    /// Cargo's target folder.
    pub fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Where what was built from these inputs is, or would be.
    pub fn built(&self, inputs: &str) -> PathBuf {
        self.root.join("built").join(&inputs[..32])
    }

    /// Where a comparison's files go.
    pub fn run(&self, name: &str) -> PathBuf {
        self.root.join("runs").join(name)
    }

    /// Where the calibration of this program on this machine is, or would be.
    pub fn calibration(&self, machine: &str, harness: &str) -> PathBuf {
        self.root.join("calibrations").join(format!("{machine}-{harness}.json"))
    }

    /// The evidence of all comparisons, the newest first.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn runs(&self) -> Result<Vec<PathBuf>> {
        let mut all = entries(&self.root.join("runs"))?;
        all.reverse();
        Ok(all.into_iter().map(|run| run.join(EVIDENCE)).filter(|file| file.is_file()).collect())
    }

    /// All calibrations, by machine and program.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn calibrations(&self) -> Result<Vec<PathBuf>> {
        entries(&self.root.join("calibrations"))
    }

    /// How many builds of sides are kept, and the bytes of all that this folder holds.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn size(&self) -> Result<(usize, u64)> {
        let mut bytes = 0;
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for path in entries(&folder)? {
                // What another comparison removes meanwhile counts no more.
                match fs::symlink_metadata(&path) {
                    Ok(what) if what.is_dir() => folders.push(path),
                    Ok(what) => bytes += what.len(),
                    Err(_) => {}
                }
            }
        }
        Ok((entries(&self.root.join("built"))?.len(), bytes))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// A folder for the present process, gone when dropped.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn scratch(&self) -> Result<tempfile::TempDir> {
        let parent = self.root.join("tmp");
        fs::create_dir_all(&parent)?;
        tempfile::Builder::new().prefix("run-").tempdir_in(parent).context("cannot make a folder")
    }
}

/// What a folder holds, by name; nothing if it is not there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let paths: Result<Vec<PathBuf>, _> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.with_context(|| format!("cannot read {}", folder.display()))?;
    paths.sort();
    Ok(paths)
}

/// BLAKE3 of a file, in hexadecimal.
///
/// # Errors
/// If it cannot be read.
pub fn hash_file(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    hasher.update_reader(file).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hasher.finalize().to_hex().to_string())
}
