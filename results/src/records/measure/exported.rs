//! A commit's tree, written into a temporary folder for as long as it is needed.
//!
//! Git's own notes are not touched: no worktree, no checkout, no hook. Dropping it removes the
//! folder, so it is gone after a failure and after Ctrl-C too. If this program is killed, the
//! folder stays; its name tells whose it was, and the next comparison removes it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::Repository;
use crate::side::{Git, Source, export};

/// What the names of the folders begin with; the number of the process that owns them follows.
const PREFIX: &str = "drystone-compare-";

/// A commit's tree with a target folder beside it.
///
/// ```text
/// /tmp/drystone-compare-<pid>-xxxxxx/    removed on drop
///   tree/                                the commit's files
///   target/                              what cargo builds
///   run-xxxxxx/                          what a benchmark process writes
/// ```
///
/// The paths of two sides are equally long: the size of a process's environment and arguments moves
/// its stack, and can move its figures (Mytkowicz and others, "Producing Wrong Data Without Doing
/// Anything Obviously Wrong!", ASPLOS 2009).
#[derive(Debug)]
pub struct Exported {
    folder: TempDir,
    prefix: String,
}

impl Exported {
    /// Writes `commit` out.
    ///
    /// # Errors
    /// If the folder cannot be made, or the commit not be read.
    pub fn new(repository: &Repository, commit: &str) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&folder_prefix(std::process::id()))
            .tempdir()
            .context("cannot make a temporary folder: set TMPDIR to a folder with room")?;
        let exported = Self { folder, prefix: repository.prefix()? };
        let git = Git::around(repository.root())?.context("this is no git repository")?;
        std::fs::create_dir(exported.tree())?;
        export(&Source::Commit { git, hash: commit.to_owned() }, &exported.tree())
            .with_context(|| format!("cannot write out {commit}"))?;
        Ok(exported)
    }

    /// Removes the folders below the temporary folder whose processes are gone: they were killed.
    /// Leaves alone what it cannot remove; the next run tries again.
    ///
    /// # Errors
    /// If there is no temporary folder.
    pub fn remove_leftovers() -> Result<()> {
        let temporary = std::env::temp_dir();
        let entries = std::fs::read_dir(&temporary);
        for entry in entries.context("there is no temporary folder: set TMPDIR")? {
            let entry = entry?;
            let owner = entry.file_name().to_str().and_then(owner);
            if owner.is_some_and(|owner| !is_alive(owner)) {
                // Another user's stays.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        Ok(())
    }

    /// The workspace's root inside the tree.
    pub fn root(&self) -> PathBuf {
        self.tree().join(&self.prefix)
    }

    /// Where to build it.
    pub fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }

    fn tree(&self) -> PathBuf {
        self.path().join("tree")
    }

    /// The folder that holds the tree, and all else that goes with it.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Padded, so that the paths of one run are as long as those of the next; Linux has no longer
/// numbers.
fn folder_prefix(owner: u32) -> String {
    format!("{PREFIX}{owner:07}-")
}

/// The process that a folder of this name belongs to, if it is one of ours.
fn owner(name: &str) -> Option<libc::pid_t> {
    let (owner, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    // Zero and below would stand for groups of processes.
    owner.parse().ok().filter(|&owner| owner > 0)
}

/// Whether there is such a process, whoever's it is.
fn is_alive(process: libc::pid_t) -> bool {
    // SAFETY: `kill` has no memory preconditions, and signal 0 is sent to nobody: it only asks.
    let answer = unsafe { libc::kill(process, 0) };
    answer == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folders_name_tells_its_owner() {
        assert_eq!(owner(&(folder_prefix(42) + "a-bCd3")), Some(42));
        assert_eq!(folder_prefix(1).len(), folder_prefix(4_194_304).len());
        let others = ["drystone-ab12", "drystone-compare-x-a", "drystone-compare-0-a", "tmp"];
        assert!(others.iter().all(|name| owner(name).is_none()));
    }

    #[test]
    fn the_living_are_told_from_the_dead() {
        let process = |id: u32| libc::pid_t::try_from(id).unwrap();
        assert!(is_alive(process(std::process::id())));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(!is_alive(process(child.id())));
    }
}
