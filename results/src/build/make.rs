//! A source becomes something to be measured: built, or taken from what was built before.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::artifact::{Artifact, Built};
use super::cargo;
use super::home::{Home, hash_file};
use super::inputs::{Inputs, below};
use super::recipe::{Recipe, is_inside};
use crate::child;
use crate::interrupt::Interrupt;
use crate::side::{Source, export};

/// Builds the source, unless it was built before from the same inputs.
///
/// # Errors
/// If it does not build, or leaves nothing.
pub fn build(
    source: &Source,
    present: &Path,
    recipe: &Recipe,
    home: &Home,
    interrupt: &Interrupt,
) -> Result<Built> {
    match source {
        Source::Archive(path) => return given(Artifact::Archive(path.clone())),
        Source::Library(path) => return given(Artifact::Library(path.clone())),
        Source::Commit { .. } | Source::Tree { .. } | Source::Folder(_) => {}
    }
    let _lock = home.lock()?;
    let tree = home.empty_tree()?;
    export(source, &tree)?;
    if recipe.build.is_some() {
        let laid = lay(recipe, present, &tree)?;
        by_command(recipe, &tree, &laid, home, interrupt)
    } else {
        by_cargo(present, &tree, home, interrupt)
    }
}

fn given(artifact: Artifact) -> Result<Built> {
    let inputs = hash_file(artifact.path())?;
    Ok(Built { artifact, inputs })
}

fn by_cargo(present: &Path, tree: &Path, home: &Home, interrupt: &Interrupt) -> Result<Built> {
    share(present, tree, &cargo::SHARED[1..])?;
    let package = cargo::find(tree)?;
    let mut inputs = common()?;
    inputs.part("toolchain", toolchain(tree)?.as_bytes());
    inputs.files(tree, &package.files)?;
    let mut key = inputs.finish();
    if let Some(artifact) = cached(home, &key) {
        return Ok(Built { artifact, inputs: key });
    }
    let folder = unfinished(home)?;
    if !cargo::build(&package, tree, home, folder.path(), interrupt)? {
        // It reads files beyond its own: then all of the tree is its input.
        inputs.files(tree, &below(tree)?)?;
        key = inputs.finish();
    }
    finish(home, key, folder)
}

/// Puts the recipe's own files into a copy, and those that tell cargo and the compiler how to
/// build. Returns what of these decides the build.
fn lay(recipe: &Recipe, present: &Path, tree: &Path) -> Result<Inputs> {
    let mut laid = share(present, tree, &cargo::SHARED[2..])?;
    for (to, from) in &recipe.lay {
        ensure!(
            is_inside(to) && is_inside(from),
            "the recipe's `lay` takes paths inside the tree, not `{to}` = `{from}`"
        );
        let bytes = fs::read(present.join(from))
            .with_context(|| format!("cannot read `{from}`, which the recipe's `lay` names"))?;
        laid.part(to, &bytes);
        put(&tree.join(to), &bytes)?;
    }
    Ok(laid)
}

/// Lays these files of the present tree over a copy, or takes them out of it where the present tree
/// has none. Returns their hash.
fn share(present: &Path, tree: &Path, files: &[&str]) -> Result<Inputs> {
    let mut shared = Inputs::default();
    for file in files {
        let (from, to) = (present.join(file), tree.join(file));
        if from.is_file() {
            let bytes =
                fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
            shared.part(file, &bytes);
            put(&to, &bytes)?;
        } else if to.is_file() {
            fs::remove_file(&to)?;
        }
    }
    Ok(shared)
}

/// Writes a file of a copy anew; never what a link of the commit's leads to.
fn put(to: &Path, bytes: &[u8]) -> Result<()> {
    let folder = to.parent().context("a file has a folder")?;
    fs::create_dir_all(folder)?;
    if to.symlink_metadata().is_ok() {
        fs::remove_file(to)?;
    }
    fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()))
}

fn by_command(
    recipe: &Recipe,
    tree: &Path,
    laid: &Inputs,
    home: &Home,
    interrupt: &Interrupt,
) -> Result<Built> {
    let mut inputs = common()?;
    inputs.part("laid", laid.finish().as_bytes());
    // Of a command that needs none there may be none.
    inputs.part("toolchain", toolchain(tree).unwrap_or_default().as_bytes());
    inputs.part("recipe", serde_json::to_string(recipe)?.as_bytes());
    inputs.part("cc", version("cc", tree).unwrap_or_default().as_bytes());
    if recipe.inputs.is_empty() {
        inputs.files(tree, &below(tree)?)?;
    }
    for input in &recipe.inputs {
        let files = below(&tree.join(input))?;
        ensure!(!files.is_empty(), "there is no `{input}`, which the recipe's `inputs` names");
        inputs.files(tree, &files)?;
    }
    let key = inputs.finish();
    if let Some(artifact) = cached(home, &key) {
        return Ok(Built { artifact, inputs: key });
    }
    let command = recipe.build.as_deref().unwrap_or_default();
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(tree).envs(&recipe.environment);
    // What it prints is for the user to see, but not a result.
    shell.stdout(std::io::stderr());
    let status = child::run(&mut shell, interrupt)?;
    ensure!(status.success(), "`{command}` failed ({status}): it said above why");
    let folder = unfinished(home)?;
    let left = [(&recipe.archive, "lib.a"), (&recipe.library, "lib.so")];
    for (path, name) in left.iter().filter_map(|(path, name)| Some((path.as_ref()?, name))) {
        fs::copy(tree.join(path), folder.path().join(name))
            .with_context(|| format!("`{command}` left no {path}"))?;
    }
    finish(home, key, folder)
}

/// What every key begins with.
fn common() -> Result<Inputs> {
    let mut inputs = Inputs::default();
    inputs.part("cache", b"1");
    let flags = |name: &str| {
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"].contains(&name)
            || name.starts_with("CARGO_PROFILE_")
    };
    let variables: BTreeMap<String, String> =
        std::env::vars().filter(|(name, _)| flags(name)).collect();
    inputs.part("environment", serde_json::to_string(&variables)?.as_bytes());
    Ok(inputs)
}

/// What the compiler says it is, in full: a nightly's version alone does not tell it apart.
pub fn toolchain(folder: &Path) -> Result<String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(&rustc).arg("-vV").current_dir(folder).output();
    let output = output.with_context(|| format!("cannot run {rustc}"))?;
    ensure!(output.status.success(), "{rustc} -vV failed");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn version(program: &str, folder: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").current_dir(folder).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn cached(home: &Home, key: &str) -> Option<Artifact> {
    let folder = home.built(key);
    let (archive, library) = (folder.join("lib.a"), folder.join("lib.so"));
    let archive = archive.is_file().then_some(Artifact::Archive(archive));
    archive.or_else(|| library.is_file().then_some(Artifact::Library(library)))
}

/// A folder that is not in the cache yet: a kill leaves no half of a build there.
fn unfinished(home: &Home) -> Result<tempfile::TempDir> {
    home.scratch()
}

fn finish(home: &Home, key: String, folder: tempfile::TempDir) -> Result<Built> {
    let place = home.built(&key);
    fs::create_dir_all(place.parent().context("a cache has a folder")?)?;
    if !place.exists() {
        fs::rename(folder.keep(), &place).context("cannot keep what was built")?;
    }
    match cached(home, &key) {
        Some(artifact) => Ok(Built { artifact, inputs: key }),
        None => bail!("the build left nothing in {}", place.display()),
    }
}
