//! Comparisons of copies of one archive.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::build::{self, Artifact, Home, Recipe};
use crate::evidence::Evidence;
use crate::interrupt::{Interrupt, Interrupted};
use crate::plant::Plant;
use crate::session::{self, Unbuilt, Wishes};
use crate::side::{Source, export, resolve};

/// The side, built, and where its copies are put.
pub struct Bench<'a> {
    archive: PathBuf,
    source: Source,
    recipe: Recipe,
    present: PathBuf,
    folder: tempfile::TempDir,
    interrupt: &'a Interrupt,
}

impl<'a> Bench<'a> {
    /// Builds the side.
    ///
    /// # Errors
    /// If it does not build, or to a shared library.
    pub fn new(side: &str, interrupt: &'a Interrupt) -> Result<Self> {
        let source = resolve(side)?;
        let present = match &source {
            Source::Commit { git, .. } | Source::Tree { git, .. } => git.root().to_owned(),
            Source::Folder(folder) => folder.clone(),
            Source::Archive(_) | Source::Library(_) => std::env::current_dir()?,
        };
        let recipe = match source {
            Source::Archive(_) | Source::Library(_) => Recipe::default(),
            _ => Recipe::of(&present)?,
        };
        let home = Home::open()?;
        eprintln!("building {side}");
        let built = build::build(&source, &present, &recipe, &home, interrupt)?;
        let Artifact::Archive(archive) = built.artifact else {
            bail!("`{side}` builds to a shared library: plants go into static archives");
        };
        let folder = home.scratch()?;
        Ok(Self { archive, source, recipe, present, folder, interrupt })
    }

    /// Compares a copy with the plant with a copy without.
    ///
    /// # Errors
    /// If a copy can't be made, or the comparison fails.
    pub fn evidence(&self, plant: Plant, wishes: &Wishes) -> Result<Evidence> {
        let folder = self.folder.path();
        let copies = [
            Plant::None.into_copy_of(&self.archive, folder, "without")?,
            plant.into_copy_of(&self.archive, folder, "with")?,
        ];
        let names = ["without".to_owned(), "with".to_owned()];
        self.compare(names, copies.map(Source::Archive), wishes)
    }

    /// Compares the tree with a copy whose documents were changed.
    ///
    /// # Errors
    /// As [`Bench::evidence`].
    pub fn documents(&self, wishes: &Wishes) -> Result<Evidence> {
        let folder = self.folder.path().join("documents");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir(&folder)?;
        if matches!(self.source, Source::Archive(_)) {
            bail!("an archive has no documents: name a tree or a commit");
        }
        export(&self.source, &folder)?;
        std::fs::write(folder.join("A-NEW-DOCUMENT.md"), "Words.\n")?;
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(&path)? + "\nMore words.\n";
                std::fs::write(&path, text)?;
            }
        }
        let names = ["without".to_owned(), "documents".to_owned()];
        self.compare(names, [self.source.clone(), Source::Folder(folder)], wishes)
    }

    fn compare(
        &self,
        names: [String; 2],
        sources: [Source; 2],
        wishes: &Wishes,
    ) -> Result<Evidence> {
        let (recipe, present) = (self.recipe.clone(), self.present.clone());
        let sides = Unbuilt { names, sources, recipe, present }.build(self.interrupt)?;
        let (evidence, _) = session::run(&sides, wishes, self.interrupt)?;
        if self.interrupt.is_set() {
            return Err(Interrupted.into());
        }
        Ok(evidence)
    }
}
