//! `results compare`: builds both sides, measures them, says what changed.

use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::options::CompareArguments;
use crate::build::{self, Artifact, Built, Home, Linker, Recipe, are_identical, hash_file};
use crate::date::utc_now;
use crate::decide::Judged;
use crate::evidence::{
    End, Ended, Evidence, FORMAT, Header, Lane, Line, Made, RowPlan, Settings, Side, VERSION,
    Writer,
};
use crate::interrupt::Interrupt;
use crate::lanes::{self, Context, Measured, Outcome, Word};
use crate::machine::Machine;
use crate::output::print;
use crate::pair;
use crate::progress::Progress;
use crate::side::{Source, default_a, resolve};

/// Runs the subcommand; prints the report.
///
/// # Errors
/// If a side stands for nothing or does not build, or nothing could be measured.
pub fn run(arguments: &CompareArguments, interrupt: &Interrupt) -> Result<u8> {
    let sides = Sides::build(arguments, interrupt)?;
    let scratch = sides.home.scratch()?;
    let linker = Linker::new(scratch.path(), &sides.recipe.link)?;
    let scripts = scratch.path().join("scripts");
    std::fs::create_dir(&scripts)?;
    let traces = lanes::scripts::known();
    lanes::scripts::unpack(&traces, &scripts)?;
    let names: Vec<String> = traces.into_iter().map(|(name, _)| name).collect();
    let header = sides.header(arguments, rows(arguments, &names)?)?;
    let name = format!("{}-{:08x}", header.started.replace(':', ""), header.seed & 0xffff_ffff);
    let folder = sides.home.run(&name);
    let mut writer = Writer::create(&folder.join("evidence.jsonl"), &header)?;
    let identical = !arguments.no_identical && sides.are_identical(&linker, scratch.path())?;
    let lines = if identical {
        let end = Line::End(End { why: Ended::Identical, at_s: 0.0, failed: 0 });
        writer.append(&end)?;
        vec![end]
    } else {
        let mut progress = Progress::new(arguments.budget);
        let mut context = Context {
            sides: sides.measured(),
            linker: &linker,
            scratch: scratch.path().to_owned(),
            scripts,
            settings: &header.settings,
            writer: &mut writer,
            progress: &mut progress,
            interrupt,
            began: Instant::now(),
            deadline: Instant::now() + arguments.budget,
            seed: header.seed,
            lines: Vec::new(),
        };
        measure(&mut context)?;
        context.lines
    };
    let path = writer.path().display().to_string();
    let judged = Judged::of(Evidence { header, lines });
    print(&arguments.report.text(&judged, &path))?;
    eprintln!("evidence: {path}");
    Ok(judged.exit_code(arguments.report.fail_on))
}

/// The lanes, cheapest first, and the line that says how they ended.
fn measure(context: &mut Context) -> Result<()> {
    let measured = lanes(context);
    // Whatever happened, what was measured is kept and judged.
    let outcome = match &measured {
        Ok(outcome) => *outcome,
        Err(_) => Outcome { why: Ended::Failed, failed: 0 },
    };
    let at_s = context.at_s();
    context.keep(Line::End(End { why: outcome.why, at_s, failed: outcome.failed }))?;
    match measured {
        // Nothing to report: the error is the report.
        Err(error) if context.lines.len() == 1 => Err(error),
        Err(error) => {
            eprintln!("error: {error:#}");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

fn lanes(context: &mut Context) -> Result<Outcome> {
    let lanes = context.settings.lanes.clone();
    let wanted = |lane| lanes.contains(&lane);
    let interrupted = Outcome { why: Ended::Interrupted, failed: 0 };
    let rows = context.settings.rows.clone();
    if wanted(Lane::Correctness) {
        context.progress.phase("looking for wrong results");
        match lanes::correctness(context)? {
            Word::Fine => {}
            Word::Veto => return Ok(Outcome { why: Ended::Vetoed, failed: 0 }),
            Word::Interrupted => return Ok(interrupted),
        }
    }
    if wanted(Lane::Instructions) && lanes::can_count() {
        context.progress.phase("counting instructions");
        if lanes::instructions(context, &rows)? {
            return Ok(interrupted);
        }
    }
    if wanted(Lane::Memory) {
        context.progress.phase("measuring memory");
        if lanes::memory(context, &rows)? {
            return Ok(interrupted);
        }
    }
    if wanted(Lane::Time) {
        context.progress.phase("measuring time");
        return lanes::time(context);
    }
    Ok(Outcome { why: Ended::Decided, failed: 0 })
}

/// Both sides, built.
struct Sides {
    names: [String; 2],
    sources: [Source; 2],
    built: [Built; 2],
    recipe: Recipe,
    home: Home,
    present: PathBuf,
}

impl Sides {
    fn build(arguments: &CompareArguments, interrupt: &Interrupt) -> Result<Self> {
        let a = arguments.a.clone().map_or_else(default_a, Ok)?;
        let names = [a, arguments.b.clone()];
        let sources = [resolve(&names[0])?, resolve(&names[1])?];
        let home = Home::open()?;
        let is_built = |source: &Source| matches!(source, Source::Archive(_) | Source::Library(_));
        let present = present(&sources)?;
        let recipe = match sources.iter().all(is_built) {
            true => Recipe::default(),
            false => Recipe::of(&present)?,
        };
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

    /// Both linked in the archive's own order, or as they are.
    fn are_identical(&self, linker: &Linker, folder: &Path) -> Result<bool> {
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

    fn measured(&self) -> [Measured; 2] {
        [0, 1].map(|side| Measured { artifact: self.built[side].artifact.clone() })
    }

    fn header(&self, arguments: &CompareArguments, rows: Vec<RowPlan>) -> Result<Header> {
        let seed = arguments.seed.unwrap_or_else(any_seed);
        let compiles = self.sources.iter().any(|source| {
            matches!(source, Source::Commit { .. } | Source::Tree { .. } | Source::Folder(_))
        });
        let toolchain = match compiles && self.recipe.build.is_none() {
            true => build::toolchain(&self.present)?.lines().next().unwrap_or_default().to_owned(),
            false => String::new(),
        };
        Ok(Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            started: utc_now(),
            seed,
            harness: hash_file(&std::env::current_exe()?)?[..16].to_owned(),
            toolchain,
            machine: Machine::this(),
            a: self.side(0)?,
            b: self.side(1)?,
            settings: settings(arguments, rows),
        })
    }

    fn side(&self, side: usize) -> Result<Side> {
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

fn rows(arguments: &CompareArguments, traces: &[String]) -> Result<Vec<RowPlan>> {
    let mut rows = pair::plans();
    rows.extend(pair::trace_rows(traces));
    let known: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    if !arguments.rows.is_empty() {
        rows.retain(|row| {
            arguments.rows.iter().any(|wanted| row.name.starts_with(wanted.as_str()))
        });
    }
    ensure!(!rows.is_empty(), "--rows: no row begins so; there are {}", known.join(", "));
    Ok(rows)
}

fn settings(arguments: &CompareArguments, rows: Vec<RowPlan>) -> Settings {
    Settings {
        floor: arguments.floor,
        margin: arguments.margin,
        error: 0.02,
        budget_s: arguments.budget.as_secs_f64(),
        null_every: 8,
        lanes: arguments.lanes(),
        rows,
        memory_floor: 0.02,
        tail_floor: [10.0, 5.0],
        instructions_gate: arguments.instructions,
    }
}

/// A seed nobody chose: the standard library's hash keys are random.
fn any_seed() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
