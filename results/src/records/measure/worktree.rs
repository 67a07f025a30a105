//! A commit's tree, checked out in a temporary folder for as long as it is needed.
//!
//! Dropping it removes the folder and git's note of it, so it is gone after a failure and after
//! Ctrl-C too. If this program is killed, the folder stays; its name tells whose it was, and the next
//! comparison removes it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::Repository;

/// What the names of the folders begin with; the number of the process that owns them follows.
const PREFIX: &str = "drystone-compare-";

/// A detached worktree with a target folder beside it.
///
/// ```text
/// /tmp/drystone-compare-<pid>-xxxxxx/    removed on drop
///   tree/                                the worktree
///   target/                              what cargo builds
///   run-xxxxxx/                          what a benchmark process writes
/// ```
///
/// The paths of two sides are equally long: the size of a process's environment and arguments moves
/// its stack, and can move its figures (Mytkowicz and others, "Producing Wrong Data Without Doing
/// Anything Obviously Wrong!", ASPLOS 2009).
#[derive(Debug)]
pub struct Worktree {
    repository: Repository,
    folder: TempDir,
    prefix: String,
}

impl Worktree {
    /// Checks out `commit`.
    ///
    /// # Errors
    /// If the folder cannot be made or git cannot check out.
    pub fn new(repository: &Repository, commit: &str) -> Result<Self> {
        repository.ask(&["worktree", "prune"])?;
        let folder = tempfile::Builder::new()
            .prefix(&folder_prefix(std::process::id()))
            .tempdir()
            .context("cannot make a temporary folder: set TMPDIR to a folder with room")?;
        let prefix = repository.prefix()?;
        // Made before git starts, so that its drop removes what a failed checkout left.
        let worktree = Self { repository: repository.clone(), folder, prefix };
        let tree = worktree.tree();
        let tree = tree.to_str().context("the temporary folder's name is not UTF-8: set TMPDIR")?;
        repository
            .ask(&["worktree", "add", "--detach", "--quiet", tree, commit])
            .with_context(|| format!("cannot check out {commit}"))?;
        Ok(worktree)
    }

    /// Removes the worktrees of this repository below the temporary folder whose processes are gone:
    /// they were killed. Leaves alone what it cannot remove; the next run tries again.
    ///
    /// # Errors
    /// If git fails.
    pub fn remove_leftovers(repository: &Repository) -> Result<()> {
        let temporary = std::env::temp_dir().canonicalize();
        let temporary = temporary.context("there is no temporary folder: set TMPDIR")?;
        let list = repository.ask(&["worktree", "list", "--porcelain"])?;
        for tree in list.lines().filter_map(|line| line.strip_prefix("worktree ")) {
            let Some(folder) = Path::new(tree).parent() else { continue };
            let name = folder.file_name().and_then(|name| name.to_str());
            let Some(owner) = name.and_then(owner) else { continue };
            let below = folder.parent().and_then(|parent| parent.canonicalize().ok());
            if below.as_ref() != Some(&temporary) || is_alive(owner) {
                continue;
            }
            // The target first, which may still be written to: git's note, by which the folder is
            // found, goes only with the tree.
            if remove(&folder.join("target")) && remove(folder) {
                // Git locks a worktree while it checks it out, and prunes no locked one. Fails if this
                // one is not locked.
                let _ = repository.ask(&["worktree", "unlock", tree]);
            }
        }
        repository.ask(&["worktree", "prune"])?;
        Ok(())
    }

    /// The workspace's root inside the worktree.
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

    /// The folder that holds the worktree, and all else that goes with it.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        let tree = self.tree();
        // Either can fail only if there is nothing of it, or no git: the folder goes in any case.
        let _ = self.repository.ask(&["worktree", "remove", "--force", &tree.to_string_lossy()]);
        let _ = std::fs::remove_dir_all(self.path());
        let _ = self.repository.ask(&["worktree", "prune"]);
    }
}

/// Padded, so that the paths of one run are as long as those of the next; Linux has no longer numbers.
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

/// Removes a folder; whether it is gone.
fn remove(folder: &Path) -> bool {
    match std::fs::remove_dir_all(folder) {
        Ok(()) => true,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
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
