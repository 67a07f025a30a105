//! How a project's allocator is built: `compare.toml` at its root or in `.config`, or, without a
//! command there, cargo. It may name libraries that are compared besides.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// The file's name, and the places where it is looked for.
const FILE: &str = "compare.toml";
const PLACES: [&str; 2] = ["", ".config"];

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
    /// Libraries to compare besides. No part of how this one is built.
    #[serde(default, skip_serializing)]
    pub also: Vec<Also>,
}

/// A library that is compared besides, where it changed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Also {
    /// Its name, which the names of its rows begin with.
    pub name: String,
    /// The file that says how it is built, by its path in the present tree.
    pub recipe: String,
    /// Its rows, by the names that they have for every library.
    pub rows: Vec<String>,
}

impl Recipe {
    /// The recipe of the project at `root`: one for both sides, that of the present tree.
    ///
    /// # Errors
    /// If there is a file and it cannot be used, or neither a command nor a cargo workspace.
    pub fn of(root: &Path) -> Result<Self> {
        let places = PLACES.map(|place| root.join(place).join(FILE));
        let mut files = places.iter().filter(|file| file.is_file());
        let file = files.next();
        ensure!(
            files.next().is_none(),
            "{} has a {FILE} at its root and in .config: keep one of them",
            root.display()
        );
        let recipe = file.map_or_else(|| Ok(Self::default()), |file| Self::read(file))?;
        ensure!(
            recipe.build.is_some() || root.join("Cargo.toml").is_file(),
            "{} has neither a {FILE} with `build` nor a Cargo.toml: write a {FILE} with `build`, a \
             command, and `archive`, the static archive it leaves",
            root.display()
        );
        Ok(recipe)
    }

    /// The recipe of a library that is compared besides, in the present tree at `root`.
    ///
    /// # Errors
    /// If it cannot be used, or has no command.
    pub fn of_also(also: &Also, root: &Path) -> Result<Self> {
        ensure!(
            is_inside(&also.recipe),
            "{FILE}: the recipe of {} is `{}`: give its path inside the tree",
            also.name,
            also.recipe
        );
        let recipe = Self::read(&root.join(&also.recipe))?;
        ensure!(
            recipe.build.is_some() && recipe.also.is_empty(),
            "{}: the recipe of {}, which `also` names, needs `build` and has no `also` of its own",
            also.recipe,
            also.name
        );
        Ok(recipe)
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
        let mut names = BTreeSet::new();
        for Also { name, rows, .. } in &recipe.also {
            let distinct: BTreeSet<&String> = rows.iter().collect();
            ensure!(
                !rows.is_empty() && distinct.len() == rows.len(),
                "{shown}: `rows` of `{name}` names none, or one twice: name each once"
            );
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            ensure!(
                !name.is_empty() && name.chars().all(plain) && names.insert(name),
                "{shown}: `also` has the name `{name}`: give each a name of its own, of letters, \
                 digits, - and _"
            );
        }
        Ok(recipe)
    }
}

/// Whether a path leads to no place outside the folder that it is relative to.
pub fn is_inside(path: &str) -> bool {
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    Path::new(path).components().all(plain)
}
