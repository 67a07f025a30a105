//! `cargo stress readme`: writes the README's comparison and its sample of a run anew, and the
//! picture beside them. Each comes of real runs; nobody edits them by hand, which a test holds.
//!
//! ```text
//! mod ─┬─► bench, conform (their own children) ─► line ─► page ─► README.md, docs/images
//!      └─► cargo stress (this binary once more) ─────────────────► README.md
//! ```

mod line;
mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use drystone_conform::mistake::{self, Kind};
use drystone_conform::misuse::score::End;
use drystone_conform::plan::Scoring;
use drystone_harness::allocators::{Allocator, DRYSTONE, Folders, MIMALLOC, SYSTEM};
use drystone_harness::exit;
use drystone_harness::output::progress;
use drystone_harness::process::launcher::{Launcher, this_binary};
use drystone_harness::seed::Seed;
use drystone_harness::stop::{self, Stop};
use drystone_measure::bench;
use drystone_tidy::{replace, seal};
use drystone_workloads::cli::duration;

use crate::cmd::readme::line::{Line, Reports, named};

static STOP: Stop = Stop::new();

/// What stands in the markers of the comparison.
const COMMAND: &str = "cargo stress readme";
/// The run whose output is the sample; also what stands in its markers.
const SAMPLE: &str = "cargo stress --allocator target/release/libdrystone.so --for 9s \
                      --workload mixed --workload double-free --workload drain";

/// The repository's root.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// The page, from the root.
const README: &str = "README.md";
/// The picture, from the root.
const PICTURE: &str = "docs/images/comparison.svg";

/// Write the README's comparison, its picture, and its sample of a run anew
///
/// Measures the suite of `bench` and the double frees of `conform`, and runs the tool once. Needs
/// libdrystone.so (cargo build --release) and a machine that does nothing else meanwhile. Exit
/// codes: 0 written; 2 wrong usage, or an allocator is not here or failed; 3 stopped before the
/// end, and nothing is written.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// An allocator of the comparison; repeatable [default: drystone, tcmalloc, mimalloc, system,
    /// jemalloc]
    #[arg(long = "allocator", value_name = "NAME")]
    allocators: Vec<String>,

    /// How often each row is measured with each allocator, at least 3
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: u32,

    /// Short rows, to try the command: the figures say nothing
    #[arg(long)]
    quick: bool,

    /// When a measurement is given up
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s")]
    deadline: Duration,

    /// The folder whose README.md and docs are written [default: the repository]
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

/// Measures, and writes; the exit code.
///
/// # Errors
/// An allocator is not here or fails, the README has no place for what is written, or a file can't
/// be written.
pub fn run(options: &Options) -> Result<u8> {
    let folders = Folders::of_this_binary()?;
    let allocators = options.chosen(&folders)?;
    let rounds = bench::cli::rounds(Some(options.rounds), options.quick)?;
    let into = options.into.clone().unwrap_or_else(|| PathBuf::from(ROOT));
    let page = into.join(README);
    // Before an hour of measurements: whether there is a place for them.
    let text = fs::read_to_string(&page).with_context(|| format!("reading {}", page.display()))?;
    for command in [COMMAND, SAMPLE] {
        replace(&text, command, "").map_err(|why| anyhow::anyhow!("{}: {why}", page.display()))?;
    }
    stop::at_ctrl_c(&STOP)?;
    let launcher = Launcher::of_this_binary(options.deadline)?;
    let Some(results) = measured(options, rounds, &allocators, &launcher)? else {
        return stopped();
    };
    let Some(reports) = scored(options, &allocators, &launcher)? else { return stopped() };
    let lines = lines(&allocators, &results, &reports)?;
    let sample = sample()?;
    if STOP.is_set() {
        return stopped();
    }
    let place = |why: String| anyhow::anyhow!("{}: {why}", page.display());
    let text = replace(&text, COMMAND, &comparison(&lines, &results)).map_err(place)?;
    let text = replace(&text, SAMPLE, &sample).map_err(place)?;
    write(&page, &text)?;
    write(&into.join(PICTURE), &seal(COMMAND, &page::picture(&lines)))?;
    Ok(exit::FINE)
}

fn stopped() -> Result<u8> {
    eprintln!("stopped before the end; nothing is written");
    Ok(exit::INTERRUPTED)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))
        .with_context(|| format!("making the folder of {}", path.display()))?;
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    eprintln!("written: {}", path.display());
    Ok(())
}

impl Options {
    fn chosen(&self, folders: &Folders) -> Result<Vec<Allocator>> {
        let usual = [DRYSTONE, "tcmalloc", MIMALLOC, SYSTEM, "jemalloc"].map(str::to_owned);
        let names = if self.allocators.is_empty() { &usual[..] } else { &self.allocators };
        let choose = |name: &String| Ok(folders.choose(name)?);
        let chosen: Vec<Allocator> = names.iter().map(choose).collect::<Result<_>>()?;
        let has = |name: &str| chosen.iter().any(|allocator| allocator.name == name);
        ensure!(has(DRYSTONE) && has(MIMALLOC), "name drystone and mimalloc too: --allocator");
        Ok(chosen)
    }
}

/// The suite; none if it was stopped.
fn measured(
    options: &Options,
    rounds: u32,
    allocators: &[Allocator],
    launcher: &Launcher,
) -> Result<Option<bench::campaign::Results>> {
    let against = allocators.iter().position(|allocator| allocator.name == MIMALLOC);
    let mut rows = bench::suite::rows(options.quick)?;
    rows.retain(bench::suite::Row::is_of_the_suite);
    let plan = bench::cli::Plan {
        seed: Seed::random(),
        rounds,
        quick: options.quick,
        whole: true,
        deadline: options.deadline,
        allocators: allocators.to_vec(),
        against: against.expect("it was asked for"),
        rows,
    };
    let bar = progress::steps(bench::campaign::steps(&plan));
    let results = bench::campaign::run(plan, launcher, &STOP, &mut |row, allocator| {
        bar.set_message(format!("{row} {allocator}"));
        bar.inc(1);
    });
    bar.finish_and_clear();
    let results = results?;
    if let Some((row, allocator, failure)) = results.failures().next() {
        bail!("{allocator} failed in {row}: {}; leave it out: --allocator", failure.detail);
    }
    Ok((!results.interrupted).then_some(results))
}

/// How often each reports a double free, of all the ways and sizes; none if it was stopped.
fn scored(
    options: &Options,
    allocators: &[Allocator],
    launcher: &Launcher,
) -> Result<Option<Vec<Reports>>> {
    let double = |(mistake, _): &(mistake::Mistake, usize)| mistake.kind() == Kind::DoubleFree;
    let scoring = |(mistake, size)| Scoring { mistake, size, made: true, twin: false };
    let judged = allocators.iter().map(|allocator| drystone_conform::allocators::Allocator {
        name: allocator.name.clone(),
        library: allocator.library.clone(),
        version: allocator.version.clone(),
        env: Vec::new(),
    });
    let plan = drystone_conform::plan::Plan {
        allocators: judged.collect(),
        rows: Vec::new(),
        mistakes: mistake::all().filter(double).map(scoring).collect(),
        deadline: options.deadline,
        jobs: 1,
    };
    let bar = progress::steps(drystone_conform::campaign::count(&plan));
    let results =
        drystone_conform::campaign::run(plan, launcher, None, &STOP, &|row, allocator| {
            bar.set_message(format!("{row} {allocator}"));
            bar.inc(1);
        });
    bar.finish_and_clear();
    let results = results?;
    if results.interrupted {
        return Ok(None);
    }
    let of = |place: usize| {
        let ends =
            results.mistakes.iter().filter_map(|entries| Some(entries[place].score.as_ref()?.end));
        let made: Vec<End> = ends.filter(|end| !End::NOT_MADE.contains(end)).collect();
        Reports::of(made.iter().filter(|end| **end == End::Reported).count(), made.len())
    };
    Ok(Some((0..allocators.len()).map(of).collect()))
}

/// What was found out of each, fastest first.
fn lines(
    allocators: &[Allocator],
    results: &bench::campaign::Results,
    reports: &[Reports],
) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (place, (allocator, reports)) in allocators.iter().zip(reports).enumerate() {
        let means = bench::means::time(results, place).zip(bench::means::peak(results, place));
        let (time, peak) = means.with_context(|| format!("{} has no figures", allocator.name))?;
        lines.push(Line {
            name: named(&allocator.name, &allocator.version),
            ours: allocator.name == DRYSTONE,
            time: time.ratio,
            peak: peak.ratio,
            reports: *reports,
        });
    }
    lines.sort_by(|one, other| one.time.total_cmp(&other.time));
    Ok(lines)
}

/// The table, the picture's place, and what the figures are.
fn comparison(lines: &[Line], results: &bench::campaign::Results) -> String {
    let plan = &results.plan;
    let quick = if plan.quick { " --quick" } else { "" };
    let (rows, rounds) = (bench::means::rows(results).count(), plan.rounds);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let table = page::table(lines);
    format!(
        "{table}\n![Time and peak memory of each, as bars]({PICTURE})\n\n\
         Relative to mimalloc, as geometric means over the {rows} benchmarks of `cargo stress bench\n\
         --rounds {rounds}{quick}` at commit {} on {cores} cores; smaller is better. Memory is what\n\
         comes on top of the benchmark's own. The last column: each way to free twice that `cargo\n\
         stress conform` has, with blocks of four sizes.\n",
        commit()
    )
}

/// The commit that this is, and whether files differ from it.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(ROOT).output().ok()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(said)
    };
    let Some(hash) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain"]) {
        Some(changes) if changes.is_empty() => hash,
        _ => format!("{hash} with changes"),
    }
}

/// A run of this tool, as its user sees it.
fn sample() -> Result<String> {
    let arguments = SAMPLE.split_whitespace().skip(2);
    let output = Command::new(this_binary()?)
        .args(arguments)
        .args(["--color", "never"])
        .current_dir(ROOT)
        .env_remove("COLUMNS")
        .output()
        .context("starting this tool once more")?;
    let (said, printed) =
        (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    ensure!(output.status.success(), "`{SAMPLE}` found something, or failed: {said}{printed}");
    let plain = said.lines().filter(|line| !line.trim().is_empty());
    let (first, rest): (Vec<&str>, Vec<&str>) = plain.partition(|line| line.starts_with("seed "));
    let last = rest.last().copied().unwrap_or_default();
    let table = printed.trim_matches('\n');
    Ok(format!("```console\n$ {SAMPLE}\n{}\n{table}\n{last}\n```\n", first.join("\n")))
}
