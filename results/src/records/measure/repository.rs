//! The workspace and the git repository around it, asked by way of their own programs.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The workspace this program was started in.
#[derive(Clone, Debug)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// Finds the workspace around the current folder.
    ///
    /// # Errors
    /// If there is none, or it is in no git repository.
    pub fn open() -> Result<Self> {
        let output = Command::new(cargo())
            .args(["locate-project", "--workspace", "--message-format", "plain"])
            .stderr(Stdio::null())
            .output()
            .context("cannot run cargo")?;
        let manifest = PathBuf::from(text(&output));
        let root = manifest.parent().filter(|_| output.status.success());
        let root = root.context("start this inside the workspace: no Cargo.toml was found here")?;
        let repository = Self { root: root.to_owned() };
        repository
            .ask(&["rev-parse", "--git-dir"])
            .with_context(|| format!("{} is in no git repository", root.display()))?;
        Ok(repository)
    }

    /// The workspace's root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The full hash of the commit that `name` (a commit, branch or tag) stands for.
    ///
    /// # Errors
    /// If it stands for none.
    pub fn resolve(&self, name: &str) -> Result<String> {
        let wanted = format!("{name}^{{commit}}");
        let asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
        self.ask(&asked).map_err(|_| {
            anyhow::anyhow!(
                "`{name}` is neither a record file nor a commit, branch or tag of this repository \
                 (if it is on a remote, fetch it first)"
            )
        })
    }

    /// The full hash of the present commit.
    ///
    /// # Errors
    /// If there is none yet.
    pub fn head(&self) -> Result<String> {
        self.ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
            .map_err(|_| anyhow::anyhow!("this repository has no commit yet: commit first"))
    }

    /// Whether the working tree differs from the present commit, untracked files included.
    ///
    /// # Errors
    /// If git fails.
    pub fn is_dirty(&self) -> Result<bool> {
        Ok(!self.ask(&["status", "--porcelain", "--untracked-files=normal"])?.is_empty())
    }

    /// The workspace's folder inside the repository; empty if it is the repository's root.
    pub(super) fn prefix(&self) -> Result<String> {
        self.ask(&["rev-parse", "--show-prefix"])
    }

    /// Runs git in the workspace's root and returns what it printed, trimmed.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<String> {
        let output =
            git(&self.root).args(arguments).output().context("cannot run git: is it installed?")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("git {} failed: {}", arguments[0], said.trim());
        }
        Ok(text(&output))
    }
}

/// Git in `folder`, whatever repository a hook that called us may have set, and out of Ctrl-C's
/// way: it also tidies up after one.
fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder).process_group(0).stdin(Stdio::null());
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        git.env_remove(variable);
    }
    git
}

/// The cargo that started us, else the one in the path.
pub(super) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// The first line that `program --version` prints in `folder`.
pub(super) fn version(program: &Path, folder: &Path) -> Result<String> {
    let shown = program.display();
    let output = Command::new(program)
        .arg("--version")
        .current_dir(folder)
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    ensure!(output.status.success(), "{shown} --version failed");
    Ok(text(&output).lines().next().unwrap_or_default().to_owned())
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
