//! Building the benchmarks of one tree.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::repository;
use crate::child;
use crate::interrupt::Interrupt;

/// The benchmark target that records are made of.
const TARGET: &str = "allocators";

/// Fails in one sentence if the workspace at `root`, known to the user as `name`, has no benchmarks
/// to build.
///
/// # Errors
/// If so, or if cargo cannot read the workspace.
pub fn check_target(root: &Path, name: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        targets: Vec<Target>,
    }
    let has_none = || {
        format!(
            "{name} has no benchmark target `{TARGET}`: compare commits that have one, or give \
             record files"
        )
    };
    ensure!(root.join("Cargo.toml").is_file(), has_none());
    let output = Command::new(repository::cargo())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo cannot read the workspace of {name}: {}", said.trim());
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let mut targets = metadata.packages.iter().flat_map(|package| &package.targets);
    ensure!(targets.any(Target::is_wanted), has_none());
    Ok(())
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

impl Target {
    fn is_wanted(&self) -> bool {
        self.name == TARGET && self.kind.iter().any(|kind| kind == "bench")
    }
}

/// Builds the benchmarks of the workspace at `root`, into `target` if given, else wherever cargo
/// would, and returns the executable. What the compiler says goes to stderr.
///
/// # Errors
/// If it does not build; [`super::Interrupted`] if the user asked to stop.
pub fn build(root: &Path, target: Option<&Path>, interrupt: &Interrupt) -> Result<PathBuf> {
    let messages = tempfile::tempfile().context("cannot make a temporary file")?;
    let mut cargo = Command::new(repository::cargo());
    cargo
        .args(["bench", "--quiet", "--bench", TARGET, "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(messages.try_clone()?);
    if let Some(target) = target {
        cargo.arg("--target-dir").arg(target);
    }
    let status = child::run(&mut cargo, interrupt)?;
    ensure!(status.success(), "the benchmarks do not build: cargo said above why");
    executable(messages)
}

/// The benchmark executable that cargo's `messages`, one JSON object per line, tell of.
fn executable(mut messages: File) -> Result<PathBuf> {
    use std::io::Seek;
    #[derive(Deserialize)]
    struct Artifact {
        target: Target,
        executable: Option<PathBuf>,
    }
    messages.rewind()?;
    for line in BufReader::new(messages).lines() {
        // Other messages have other fields.
        let Ok(artifact) = serde_json::from_str::<Artifact>(&line?) else { continue };
        if let (true, Some(executable)) = (artifact.target.is_wanted(), artifact.executable) {
            return Ok(executable);
        }
    }
    anyhow::bail!("cargo built no executable for the benchmark target `{TARGET}`")
}

/// What `rustc --version` prints in `root`, where a toolchain file may choose another one.
///
/// # Errors
/// If there is no rustc.
pub fn rustc_version(root: &Path) -> Result<String> {
    let rustc = std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from);
    repository::version(&rustc, root)
}
