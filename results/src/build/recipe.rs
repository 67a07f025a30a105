//! How a project's allocator is built: `compare.toml` at its root, or, without one, cargo.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// The file's name.
const FILE: &str = "compare.toml";

/// How to build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// A command for `sh`, run in the tree's root; none to let cargo build the workspace's one
    /// package that is a static library.
    #[serde(default)]
    pub build: Option<String>,
    /// The static archive that the command leaves, by its path in the tree.
    #[serde(default)]
    pub archive: Option<String>,
    /// The shared library that it leaves, if it leaves no archive.
    #[serde(default)]
    pub library: Option<String>,
    /// What the linker needs besides, such as `-lstdc++`.
    #[serde(default)]
    pub link: Vec<String>,
    /// Files and folders that the build reads; all, if empty.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Files that are put into the copy of either side before it is built: where to, and from where
    /// in the present tree. So commits can be built that did not have them yet.
    #[serde(default)]
    pub lay: BTreeMap<String, String>,
    /// Variables of the build's environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

impl Recipe {
    /// The recipe of the project at `root`: one for both sides, that of the present tree.
    ///
    /// # Errors
    /// If there is a file and it cannot be used, or neither a file nor a cargo workspace.
    pub fn of(root: &Path) -> Result<Self> {
        let path = root.join(FILE);
        if !path.is_file() {
            ensure!(
                root.join("Cargo.toml").is_file(),
                "{} has neither a {FILE} nor a Cargo.toml: write a {FILE} with `build`, a command, \
                 and `archive`, the static archive it leaves",
                root.display()
            );
            return Ok(Self::default());
        }
        Self::read(&path)
    }

    /// The recipe in a file.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        let recipe: Self =
            toml::from_str(&text).with_context(|| format!("{shown} cannot be used"))?;
        let leaves = recipe.archive.is_some() || recipe.library.is_some();
        ensure!(
            recipe.lay.is_empty() || recipe.build.is_some(),
            "{shown}: `lay` goes with `build`, a command"
        );
        ensure!(
            recipe.build.is_some() == leaves,
            "{shown}: `build`, a command, and `archive` or `library`, what it leaves, go together"
        );
        Ok(recipe)
    }
}
