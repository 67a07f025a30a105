//! Comparisons that are run: plants in copies of the side's archive.

use std::cell::Cell;
use std::path::PathBuf;

use anyhow::{Result, bail};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::super::calibrate::rate;
use super::super::options::SelftestArguments;
use super::aim::{self, Aimed};
use super::plants::{self, Change, Plant as Kind, RING};
use crate::build::{self, Artifact, Home, Recipe};
use crate::decide::{Judged, Verdict};
use crate::evidence::{Ended, Evidence};
use crate::interrupt::{Interrupt, Interrupted};
use crate::plant::Plant;
use crate::report::Told;
use crate::session::{self, Sides, Wishes};
use crate::side::{Source, export, resolve};

/// The side, built, and where its copies are put.
pub struct Bench<'a> {
    archive: PathBuf,
    source: Source,
    recipe: Recipe,
    present: PathBuf,
    folder: tempfile::TempDir,
    interrupt: &'a Interrupt,
    /// By how much one turn of the loop slows the ring, as a logarithm, once it is known.
    pub slope: Cell<Option<f64>>,
}

/// Runs the plants; returns a title, and what came of each.
///
/// # Errors
/// If the side does not build to an archive, or a comparison fails.
pub fn run(arguments: &SelftestArguments, interrupt: &Interrupt) -> Result<(String, Vec<Told>)> {
    let plants = plants::chosen(&arguments.plants, arguments.quick)?;
    let bench = Bench::new(&arguments.side, interrupt)?;
    let rounds = if arguments.quick { 1 } else { arguments.rounds };
    let wishes = Wishes { budget: arguments.budget, ..Wishes::default() };
    let mut seeds =
        Pcg64::seed_from_u64(Wishes { seed: arguments.seed, ..Wishes::default() }.seed());
    let mut told = Vec::new();
    for kind in plants {
        eprintln!("plant {}", kind.name);
        let tried = one(&bench, kind, rounds, &wishes, &mut seeds);
        match tried {
            Ok(one) => told.push(one),
            // What is known is told.
            Err(error) if error.is::<Interrupted>() && !told.is_empty() => break,
            Err(error) => return Err(error.context(format!("plant {}", kind.name))),
        }
    }
    Ok((format!("Live comparisons, of {} s each at most.", arguments.budget.as_secs()), told))
}

fn one(bench: &Bench, kind: Kind, rounds: u64, wishes: &Wishes, seeds: &mut Pcg64) -> Result<Told> {
    let plain = |plant| Aimed { plant, measures: 0.0, interval: None };
    let aimed = match kind.change {
        Change::Same | Change::Documents => plain(Plant::None),
        Change::Layout => plain(Plant::Padded),
        Change::Slower(change) => aim::slower(bench, change)?,
        Change::Fatter(change) => aim::fatter(bench, change)?,
        Change::Stall => plain(Plant::Stalled(20_000)),
        Change::Wrong => plain(Plant::Dirty(100)),
    };
    let mut found = 0;
    for round in 1..=rounds {
        let wishes = Wishes {
            lanes: kind.lanes.to_vec(),
            rows: rows(kind.change),
            no_identical: kind.change != Change::Documents,
            seed: Some(seeds.random()),
            ..wishes.clone()
        };
        let evidence = match kind.change {
            Change::Documents => bench.documents(&wishes)?,
            _ => bench.evidence(aimed.plant, &wishes)?,
        };
        let is_found = is_found(kind, &Judged::of(evidence));
        found += u64::from(is_found);
        eprintln!("  round {round} of {rounds}: {}", if is_found { "found" } else { "not found" });
    }
    let measures = match kind.change {
        Change::Slower(_) | Change::Fatter(_) => Some((aimed.measures, aimed.interval)),
        _ => None,
    };
    Ok(Told {
        name: kind.name.to_owned(),
        measures,
        promise: kind.promise,
        rate: rate(found, rounds)?,
        note: String::new(),
    })
}

/// Few rows: a plant is looked for where it is.
fn rows(change: Change) -> Vec<String> {
    let rows: &[&str] = match change {
        Change::Slower(_) | Change::Stall => &[RING],
        Change::Fatter(_) => &["ring/16384"],
        _ => &["pair/64", RING, "bulk"],
    };
    rows.iter().map(|row| (*row).to_owned()).collect()
}

/// Whether the comparison says of the plant's kind that it is there; for no change, whether it says
/// anything.
fn is_found(kind: Kind, judged: &Judged) -> bool {
    let times = |verdicts: &[Verdict]| {
        judged.tables.rows.iter().any(|row| verdicts.contains(&row.judge.verdict()))
    };
    match kind.change {
        Change::Documents => judged.why() == Some(Ended::Identical),
        Change::Same | Change::Layout => {
            times(&[Verdict::Regressed, Verdict::Improved]) || !judged.regressions().is_empty()
        }
        Change::Slower(_) => times(&[Verdict::Regressed]),
        Change::Fatter(_) => judged.memory.iter().any(|one| one.verdict == Verdict::Regressed),
        Change::Stall => {
            judged.tables.tails.iter().any(|tail| tail.judge.verdict() == Verdict::Regressed)
        }
        Change::Wrong => !judged.new_findings().is_empty(),
    }
}

impl<'a> Bench<'a> {
    fn new(side: &str, interrupt: &'a Interrupt) -> Result<Self> {
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
        Ok(Self { archive, source, recipe, present, folder, interrupt, slope: Cell::new(None) })
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
    fn documents(&self, wishes: &Wishes) -> Result<Evidence> {
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
        let sides = Sides::of(names, sources, recipe, present, self.interrupt)?;
        let (evidence, _) = session::run(&sides, wishes, self.interrupt)?;
        if self.interrupt.is_set() {
            return Err(Interrupted.into());
        }
        Ok(evidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Promise;

    #[test]
    fn names_choose_plants_and_a_wrong_one_is_named() {
        let names = |names: &[&str], quick| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            plants::chosen(&names, quick).map(|all| all.len()).map_err(|error| error.to_string())
        };
        assert_eq!(names(&[], false), Ok(10));
        assert_eq!(names(&[], true), Ok(4));
        assert_eq!(names(&["ring", "stall"], true), Ok(5));
        assert!(names(&["rong"], false).unwrap_err().contains("`rong`"));
        let same = plants::PLANTS[0];
        assert_eq!(same.promise, Promise::AtMost(0.02));
    }
}
