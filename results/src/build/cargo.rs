//! Building with cargo: the workspace's one package that is a static library.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::home::Home;
use super::inputs::below;
use crate::child;
use crate::interrupt::Interrupt;

/// The package to build.
pub struct Package {
    /// Its name.
    name: String,
    /// Its library target's name.
    library: String,
    /// What its build reads, as far as cargo's manifests tell.
    pub files: BTreeSet<PathBuf>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
    kind: Vec<String>,
    src_path: PathBuf,
}

#[derive(Deserialize)]
struct Dependency {
    path: Option<PathBuf>,
}

impl Listed {
    fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }
}

/// Finds the package in the workspace at `root`.
///
/// # Errors
/// If cargo cannot read the workspace, or it has none or several.
pub fn find(root: &Path) -> Result<Package> {
    let output = Command::new(cargo())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo cannot read the workspace: {}", said.trim());
    let Metadata { packages } = serde_json::from_slice(&output.stdout)?;
    let is_static = |target: &&Target| target.crate_types.iter().any(|kind| kind == "staticlib");
    let mut found = packages
        .iter()
        .filter_map(|package| Some((package, package.targets.iter().find(is_static)?)));
    let only = found.next().filter(|_| found.next().is_none());
    let (package, target) = only.context(
        "the workspace has not exactly one package that is a static library: write a compare.toml \
         with `build` and `archive`",
    )?;
    let files = files(root, package, &packages)?;
    Ok(Package { name: package.name.clone(), library: target.name.clone(), files })
}

/// The manifests, sources and build scripts of the package and of all it depends on by path.
fn files(root: &Path, package: &Listed, packages: &[Listed]) -> Result<BTreeSet<PathBuf>> {
    let by_folder: BTreeMap<&Path, &Listed> =
        packages.iter().map(|package| (package.folder(), package)).collect();
    let mut files: BTreeSet<PathBuf> = SHARED.iter().map(|file| root.join(file)).collect();
    let mut waiting = vec![package];
    while let Some(package) = waiting.pop() {
        if !files.insert(package.manifest_path.clone()) && package.folder() != root {
            continue;
        }
        for target in &package.targets {
            let wanted = |kind: &String| kind == "custom-build" || kind.ends_with("lib");
            if !target.kind.iter().any(wanted) {
                continue;
            }
            let of_build = target.kind.iter().any(|kind| kind == "custom-build");
            let folder =
                target.src_path.parent().filter(|folder| !of_build && *folder != package.folder());
            files.extend(below(folder.unwrap_or(&target.src_path))?);
        }
        let paths = package.dependencies.iter().filter_map(|dependency| dependency.path.as_deref());
        waiting.extend(
            paths
                .filter_map(|path| by_folder.get(path).copied())
                .filter(|package| {
                    !files.contains(&package.manifest_path) || package.folder() == root
                })
                .filter(|next| next.folder() != package.folder()),
        );
    }
    Ok(files.into_iter().filter(|file| file.is_file()).collect())
}

/// What is one for both sides: the present tree's lie over each side's.
pub const SHARED: [&str; 5] =
    ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "rust-toolchain.toml", "rust-toolchain"];

/// Builds the package, and puts its archive into `folder` as `lib.a`. What cargo says is shown as
/// it says it.
///
/// # Errors
/// If it does not build, or reads a file that [`find`] did not foresee.
pub fn build(
    package: &Package,
    root: &Path,
    home: &Home,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<bool> {
    let mut command = Command::new(cargo());
    command
        .args(["build", "--release", "--package", &package.name])
        .arg("--target-dir")
        .arg(home.target())
        .current_dir(root)
        .env_remove("CARGO_TARGET_DIR");
    let status = child::run(&mut command, interrupt)?;
    ensure!(status.success(), "it does not build: cargo said above why");
    let release = home.target().join("release");
    let archive = release.join(format!("lib{}.a", package.library));
    fs::copy(&archive, folder.join("lib.a"))
        .with_context(|| format!("cargo left no {}", archive.display()))?;
    foreseen(package, root, &release.join(format!("lib{}.d", package.library)))
}

/// Whether every file of the tree that the compiler read, by its own list, is in the package's.
fn foreseen(package: &Package, root: &Path, list: &Path) -> Result<bool> {
    let text =
        fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
    let read = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .flat_map(|(_, files)| files.split(' '));
    Ok(read
        .map(Path::new)
        .filter(|file| file.starts_with(root))
        .all(|file| package.files.contains(file)))
}

/// The cargo that started us, else the one in the path.
fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}
