//! Both sides, built.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::build::{self, Artifact, Built, Home, Linker, Recipe, are_identical, hash_file};
use crate::evidence::{Made, Side};
use crate::interrupt::Interrupt;
use crate::lanes::Measured;
use crate::side::{Source, resolve};

/// Both sides, built.
pub struct Sides {
    names: [String; 2],
    sources: [Source; 2],
    built: [Built; 2],
    recipe: Recipe,
    home: Home,
    present: PathBuf,
}

impl Sides {
    /// Builds the sides of these names: with the recipe, lock file and flags of the present tree,
    /// or with the recipe in `file`.
    ///
    /// # Errors
    /// If one stands for nothing, or does not build.
    pub fn build(names: [String; 2], file: Option<&Path>, interrupt: &Interrupt) -> Result<Self> {
        let sources = [resolve(&names[0])?, resolve(&names[1])?];
        let present = present(&sources)?;
        let recipe = match (sources.iter().all(is_built), file) {
            (true, None) => Recipe::default(),
            (true, Some(file)) => bail!(
                "--recipe {} says how a side is built, and both are built: leave it out",
                file.display()
            ),
            (false, Some(file)) => Recipe::read(file)?,
            (false, None) => Recipe::of(&present)?,
        };
        Self::of(names, sources, recipe, present, interrupt)
    }

    /// Builds these sources with a recipe and a present tree that are known.
    ///
    /// # Errors
    /// If one does not build.
    pub fn of(
        names: [String; 2],
        sources: [Source; 2],
        recipe: Recipe,
        present: PathBuf,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let home = Home::open()?;
        let mut built = Vec::new();
        for (name, source) in names.iter().zip(&sources) {
            if !is_built(source) {
                eprintln!("building {name}");
            }
            let side = build::build(source, &present, &recipe, &home, interrupt);
            built.push(side.with_context(|| format!("side `{name}`"))?);
        }
        let Ok(built) = <[Built; 2]>::try_from(built) else { unreachable!("two sides were built") };
        Ok(Self { names, sources, built, recipe, home, present })
    }

    /// The tool's own folder.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// A linker for both, which keeps its files in `folder`.
    ///
    /// # Errors
    /// If there is none.
    pub fn linker(&self, folder: &Path) -> Result<Linker> {
        Linker::new(folder, &self.recipe.link)
    }

    /// Whether both, linked in the archive's own order or as they are, are the same to a program.
    ///
    /// # Errors
    /// If one does not link, or can't be read.
    pub fn are_identical(&self, linker: &Linker, folder: &Path) -> Result<bool> {
        let [a, b] = &self.built;
        if std::mem::discriminant(&a.artifact) != std::mem::discriminant(&b.artifact) {
            return Ok(false);
        }
        let libraries = [folder.join("identical-a.so"), folder.join("identical-b.so")];
        for (built, library) in self.built.iter().zip(&libraries) {
            linker.make(&built.artifact, 1, library)?;
        }
        are_identical(&libraries[0], &libraries[1])
    }

    /// Both, for the lanes.
    pub fn measured(&self) -> [Measured; 2] {
        [0, 1].map(|side| Measured { artifact: self.built[side].artifact.clone() })
    }

    /// What the compiler says it is; empty where none of cargo's was used.
    ///
    /// # Errors
    /// If it can't be run.
    pub fn toolchain(&self) -> Result<String> {
        let compiles = self.sources.iter().any(|source| !is_built(source));
        Ok(match compiles && self.recipe.build.is_none() {
            true => build::toolchain(&self.present)?.lines().next().unwrap_or_default().to_owned(),
            false => String::new(),
        })
    }

    /// A side, for the header.
    ///
    /// # Errors
    /// If git fails, or what was built has gone.
    pub fn side(&self, side: usize) -> Result<Side> {
        let (source, built) = (&self.sources[side], &self.built[side]);
        let (made, commit, dirty) = match source {
            Source::Commit { hash, .. } => (Made::Commit, Some(hash.clone()), false),
            Source::Tree { git, hash } => {
                let changes = git.ask(&["status", "--porcelain", "--untracked-files=normal"])?;
                (Made::Tree, hash.clone(), !changes.is_empty())
            }
            Source::Folder(_) => (Made::Tree, None, false),
            Source::Archive(_) => (Made::Archive, None, false),
            Source::Library(_) => (Made::Library, None, false),
        };
        Ok(Side {
            name: self.names[side].clone(),
            made,
            commit,
            dirty,
            inputs: built.inputs.clone(),
            artifact: hash_file(built.artifact.path())?,
            fresh_layouts: matches!(built.artifact, Artifact::Archive(_)),
        })
    }
}

fn is_built(source: &Source) -> bool {
    matches!(source, Source::Archive(_) | Source::Library(_))
}

/// The root of the present tree, whose recipe, lock file and flags both sides are built with.
fn present(sources: &[Source; 2]) -> Result<PathBuf> {
    let here = std::env::current_dir().context("the current folder is gone")?;
    for source in sources.iter().rev() {
        match source {
            Source::Commit { git, .. } | Source::Tree { git, .. } => {
                return Ok(git.root().to_owned());
            }
            Source::Folder(folder) => return Ok(folder.clone()),
            Source::Archive(_) | Source::Library(_) => {}
        }
    }
    Ok(here)
}
