//! Both sides, named and then built; and libraries besides, where they differ.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::build::{self, Also, Artifact, Built, Home, Linker, Recipe, hash_file};
use crate::evidence::{Also as Said, Made, RowPlan, Side};
use crate::interrupt::{Interrupt, Interrupted};
use crate::lanes::Library;
use crate::side::{Source, resolve};

/// Both sides, and how they are built.
pub struct Unbuilt {
    /// As the user gave them.
    pub names: [String; 2],
    /// Where they come from.
    pub sources: [Source; 2],
    /// How they are built.
    pub recipe: Recipe,
    /// The present tree, whose lock file and flags both sides are built with.
    pub present: PathBuf,
}

/// Both sides, built.
pub struct Sides {
    unbuilt: Unbuilt,
    built: [Built; 2],
    home: Home,
}

impl Unbuilt {
    /// The sides of these names, to be built by the recipe of the present tree, or by that in
    /// `file`.
    ///
    /// # Errors
    /// If one stands for nothing, or the recipe cannot be used.
    pub fn find(names: [String; 2], file: Option<&Path>) -> Result<Self> {
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
        Ok(Self { names, sources, recipe, present })
    }

    /// The libraries to compare besides: none where a side was given built.
    ///
    /// # Errors
    /// If the recipe of one cannot be used.
    pub fn also(&self) -> Result<&[Also]> {
        if self.sources.iter().any(is_built) {
            return Ok(&[]);
        }
        for also in &self.recipe.also {
            Recipe::of_also(also, &self.present)?;
        }
        Ok(&self.recipe.also)
    }

    /// Whether a side is compared with itself. It is built once: a tree may be edited meanwhile.
    fn is_one_side(&self) -> bool {
        self.names[0] == self.names[1]
    }

    /// Builds them.
    ///
    /// # Errors
    /// If one does not build.
    pub fn build(self, interrupt: &Interrupt) -> Result<Sides> {
        let home = Home::open()?;
        let build = |side: usize| {
            let (name, source) = (&self.names[side], &self.sources[side]);
            if !is_built(source) {
                eprintln!("building {name}");
            }
            let built = build::build(source, &self.present, &self.recipe, &home, interrupt);
            built.with_context(|| format!("side `{name}`"))
        };
        let a = build(0)?;
        let b = if self.is_one_side() { a.clone() } else { build(1)? };
        let built = [a, b];
        Ok(Sides { unbuilt: self, built, home })
    }
}

impl Sides {
    /// The tool's own folder.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Both, for the lanes, with these rows and a linker that keeps its files in `folder`.
    ///
    /// # Errors
    /// If there is no linker.
    pub fn library(&self, rows: Vec<RowPlan>, folder: &Path) -> Result<Library> {
        let artifacts = [0, 1].map(|side| self.built[side].artifact.clone());
        let linker = Linker::new(folder, &self.unbuilt.recipe.link)?;
        Ok(Library { prefix: String::new(), rows, artifacts, linker })
    }

    /// What the compiler says it is; empty where none of cargo's was used.
    ///
    /// # Errors
    /// If it can't be run.
    pub fn toolchain(&self) -> Result<String> {
        let Unbuilt { sources, recipe, present, .. } = &self.unbuilt;
        let compiles = sources.iter().any(|source| !is_built(source));
        Ok(match compiles && recipe.build.is_none() {
            true => build::toolchain(present)?.lines().next().unwrap_or_default().to_owned(),
            false => String::new(),
        })
    }

    /// A side, for the header.
    ///
    /// # Errors
    /// If git fails, or what was built has gone.
    pub fn side(&self, side: usize) -> Result<Side> {
        let (source, built) = (&self.unbuilt.sources[side], &self.built[side]);
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
            name: self.unbuilt.names[side].clone(),
            made,
            commit,
            dirty,
            inputs: built.inputs.clone(),
            artifact: hash_file(built.artifact.path())?,
            fresh_layouts: matches!(built.artifact, Artifact::Archive(_)),
        })
    }
}

/// How a library besides is built.
pub struct Besides<'a> {
    /// What it is built from.
    pub sides: &'a Sides,
    /// A folder for what is needed no longer than the comparison.
    pub folder: &'a Path,
    /// Whether it is measured even if it is the same on both sides.
    pub even_same: bool,
    /// Whether the comparison fails if it does not build on A. Else its rows are left out.
    pub needed: bool,
    /// Whether to stop.
    pub interrupt: &'a Interrupt,
}

impl Besides<'_> {
    /// Builds a library. Returns what the header says of it, and the library, unless its rows are
    /// left out.
    ///
    /// # Errors
    /// If its recipe cannot be used, it is needed and does not build, or Ctrl-C ended a build.
    pub fn library(&self, also: &Also, rows: Vec<RowPlan>) -> Result<(Said, Option<Library>)> {
        let name = &also.name;
        let recipe = Recipe::of_also(also, &self.sides.unbuilt.present)?;
        let (library, left_out) = match self.built(name, &recipe, rows) {
            Ok(Some((library, same))) if !same || self.even_same => (Some(library), None),
            Ok(Some(_)) => (None, Some("it is the same on both sides".to_owned())),
            // All shards of a comparison must say the same, so without the causes.
            Ok(None) => (None, Some("it does not build on A".to_owned())),
            Err(_) if self.interrupt.is_set() => return Err(Interrupted.into()),
            Err(error) => return Err(error.context(name.clone())),
        };
        let artifacts = library.as_ref().map(|library| &library.artifacts);
        let is_archive = |artifact: &Artifact| matches!(artifact, Artifact::Archive(_));
        let said = Said {
            name: name.clone(),
            left_out,
            artifacts: artifacts.map(hashes).transpose()?,
            fresh_layouts: artifacts.is_some_and(|both| both.iter().all(is_archive)),
        };
        Ok((said, library))
    }

    /// Both builds, and whether they are the same. None if A's does not build, which may be older
    /// than the library, and it is not needed.
    fn built(
        &self,
        name: &str,
        recipe: &Recipe,
        rows: Vec<RowPlan>,
    ) -> Result<Option<(Library, bool)>> {
        let Sides { unbuilt: Unbuilt { names, sources, present, .. }, home, .. } = self.sides;
        let build = |side: usize| {
            eprintln!("building {name} of {}", names[side]);
            let built = build::build(&sources[side], present, recipe, home, self.interrupt);
            let built = built.map(|built| built.artifact);
            built.with_context(|| format!("it does not build on {}", ['A', 'B'][side]))
        };
        let a = match build(0) {
            Err(error) if !self.needed && !self.interrupt.is_set() => {
                eprintln!("{name}: {error:#}");
                return Ok(None);
            }
            a => a?,
        };
        let b = if self.sides.unbuilt.is_one_side() { a.clone() } else { build(1)? };
        let artifacts = [a, b];
        let linker = Linker::new(self.folder, &recipe.link)?;
        let library = Library { prefix: format!("{name}/"), rows, artifacts, linker };
        let same = library.is_same(self.folder).context("it does not link")?;
        Ok(Some((library, same)))
    }
}

fn hashes([a, b]: &[Artifact; 2]) -> Result<[String; 2]> {
    Ok([hash_file(a.path())?, hash_file(b.path())?])
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
