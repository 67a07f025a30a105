//! The repository, asked by way of git's own program. Nothing here changes it: no worktree, no
//! checkout, no hook, and no lock of its index.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A repository with a working tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Git {
    root: PathBuf,
}

/// Where a side comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A commit of the repository.
    Commit {
        /// The repository.
        git: Git,
        /// The full hash.
        hash: String,
    },
    /// A working tree as it is, with its uncommitted edits and untracked files.
    Tree {
        /// The repository it belongs to.
        git: Git,
        /// The commit it began as; none before the first.
        hash: Option<String>,
    },
    /// A folder in no repository.
    Folder(PathBuf),
    /// A static archive.
    Archive(PathBuf),
    /// A shared library.
    Library(PathBuf),
}

impl Git {
    /// The repository around `folder`; none if there is none.
    ///
    /// # Errors
    /// If git cannot be run.
    pub fn around(folder: &Path) -> Result<Option<Self>> {
        let output = command(folder)
            .args(["rev-parse", "--show-toplevel"])
            .output()
            .context("cannot run git: is it installed?")?;
        let root = text(&output.stdout);
        Ok((output.status.success() && !root.is_empty()).then(|| Self { root: root.into() }))
    }

    /// The working tree's top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The full hash of the commit that `name` stands for; none if it stands for none.
    ///
    /// # Errors
    /// If git cannot be run.
    pub fn commit(&self, name: &str) -> Result<Option<String>> {
        let wanted = format!("{name}^{{commit}}");
        let asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
        let output = command(&self.root).args(asked).output().context("cannot run git")?;
        Ok(output.status.success().then(|| text(&output.stdout)))
    }

    /// What git prints, trimmed at its end.
    ///
    /// # Errors
    /// If git fails, with its own words.
    pub fn ask(&self, arguments: &[&str]) -> Result<String> {
        Ok(text(&self.bytes(arguments, None)?))
    }

    /// What git prints, given `input`.
    ///
    /// # Errors
    /// As [`Git::ask`].
    pub fn bytes(&self, arguments: &[&str], input: Option<Vec<u8>>) -> Result<Vec<u8>> {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut git = command(&self.root);
        git.args(arguments).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut git = git.spawn().context("cannot run git: is it installed?")?;
        // From a thread of its own: git answers while it is still being asked.
        let asking = git
            .stdin
            .take()
            .zip(input)
            .map(|(mut to, input)| std::thread::spawn(move || to.write_all(&input)));
        let output = git.wait_with_output()?;
        if let Some(asking) = asking {
            // What git did not read, its own words below explain.
            let _ = asking.join();
        }
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {} failed: {}", arguments[0], said.trim());
        Ok(output.stdout)
    }
}

/// Git in `folder`, whatever repository a hook that called us may have set, out of Ctrl-C's way,
/// and without locks that it could do without.
fn command(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder).process_group(0).stdin(Stdio::null());
    git.env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C");
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        git.env_remove(variable);
    }
    git
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}
