//! `cargo stress zoo`: planted faults, and who finds them.
//!
//! | in | is |
//! |---|---|
//! | [`Options`] | what it is told |
//! | `faults` | the faults as they are written down |
//! | `plant` | a copy of the source with all of them, and the library that it makes |
//! | `hunt` | the stress tool against one of them, as a user would run it |
//! | `results` | what came of it |
//! | `table`, `json` | the same, printed, and written into `docs/zoo.md` |

mod faults;
mod hunt;
mod json;
mod options;
mod plant;
mod results;
mod table;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use drystone_harness::exit;
use drystone_harness::output;
use drystone_harness::output::progress;
use drystone_harness::output::table::Shape;
use drystone_harness::seed::Seed;
use drystone_harness::stop::{self, Stop};

use self::faults::Fault;
use self::hunt::{Caught, Hunt};
pub use self::options::Options;
use self::results::{Clean, Hunted, Made, Results};

/// Hunts; the exit code.
///
/// # Errors
/// A fault is written down wrongly or no longer applies, or a build fails.
pub fn run(options: &Options) -> Result<u8> {
    static STOP: Stop = Stop::new();
    let root = root()?;
    let all = faults::read(&root)?;
    let chosen = chosen(options, &all, &root)?;
    if options.list {
        let line = |fault: &&Fault| {
            let Fault { name, layer, breaks, detector, real, .. } = fault;
            let real = real.as_ref().map_or(String::new(), |real| format!("; as in {real}"));
            format!("{name} ({layer}): {breaks}{real}; meant for: {detector}\n")
        };
        output::write(&chosen.iter().map(line).collect::<String>())?;
        return Ok(exit::FINE);
    }
    eprintln!("building {} faults into two libraries, in target/zoo", all.len());
    let libraries = plant::build(&root, &all)?;
    stop::at_ctrl_c(&STOP)?;
    let began = Instant::now();
    let hunt = Hunt::new(options, libraries)?;
    let bar = progress::steps(chosen.len() as u64);
    let mut caught: Vec<Hunted<'_>> = Vec::new();
    for fault in chosen {
        let late = options.within.is_some_and(|within| began.elapsed() >= within);
        if STOP.is_set() || late {
            break;
        }
        bar.set_message(fault.name.clone());
        let times = hunted(&hunt, fault, options)?;
        if let Some(first) = times.first().filter(|_| bar.is_hidden()) {
            eprintln!("{}: {first}", fault.name);
        }
        bar.inc(1);
        caught.push((fault, times));
    }
    if STOP.is_set() {
        bar.finish_and_clear();
        print(&of(&caught, Clean::NotRun, options))?;
        eprintln!("stopped before the end");
        return Ok(exit::INTERRUPTED);
    }
    bar.set_message("the clean build");
    let left = options.within.map(|within| within.saturating_sub(began.elapsed()));
    let code = conclude(&hunt, &caught, left, options);
    bar.finish_and_clear();
    code
}

/// What came of the hunts, here and now.
fn of<'r>(caught: &'r [Hunted<'r>], clean: Clean, options: &'r Options) -> Results<'r> {
    Results { caught, clean, options, made: Made::here_and_now() }
}

/// Writes the report to standard output.
fn print(results: &Results<'_>) -> std::io::Result<()> {
    let table = |shape, colored| table::report(results, shape, colored);
    output::print(results.options.printing, table, || json::report(results))
}

/// What comes of the hunts of one fault; nothing of one that is not hunted.
fn hunted(hunt: &Hunt, fault: &Fault, options: &Options) -> Result<Vec<Caught>> {
    if !(fault.shows || options.all || !options.names.is_empty()) {
        return Ok(Vec::new());
    }
    let first = options.seed.0;
    let times: Vec<Caught> = (0..options.seeds)
        .map(|number| hunt.one(fault, Seed(first + number)))
        .collect::<Result<_>>()?;
    if options.sample.is_some() && fault.shows && times.iter().any(|one| one.by.is_none()) {
        return Ok(vec![hunt.longer(fault, Seed(first + options.seeds))?]);
    }
    Ok(times)
}

/// Runs the clean build, for as long as all hunts or as there is time; writes the report. The exit
/// code.
fn conclude(
    hunt: &Hunt,
    caught: &[Hunted<'_>],
    left: Option<Duration>,
    options: &Options,
) -> Result<u8> {
    let spent: Duration = caught.iter().flat_map(|(_, times)| times).map(|one| one.took).sum();
    let time = left.map_or(spent, |left| spent.min(left));
    let clean = hunt.clean(time, caught.iter().any(|(fault, _)| fault.is_of_the_list()))?;
    let results = of(caught, clean.map_or(Clean::NothingIn(time), Clean::Finding), options);
    print(&results)?;
    if let Some(file) = &options.write {
        let report = table::report(&results, Shape::Markdown, false);
        table::write(file, &report).with_context(|| file.display().to_string())?;
    }
    let missed =
        |(fault, times): &Hunted<'_>| fault.shows && times.iter().any(|one| one.by.is_none());
    let wrong = matches!(results.clean, Clean::Finding(_)) || caught.iter().any(missed);
    Ok(if wrong { exit::FOUND } else { exit::FINE })
}

/// The clone's root: here, or above.
fn root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("the present folder")?;
    let is_root = |folder: &&Path| folder.join("stress/zoo/faults").is_dir();
    match here.ancestors().find(is_root) {
        Some(root) => Ok(root.to_owned()),
        None => bail!("the zoo needs the source: run it in a clone of the repository"),
    }
}

/// The faults that are asked for.
fn chosen<'a>(options: &Options, all: &'a [Fault], root: &Path) -> Result<Vec<&'a Fault>> {
    let mut chosen: Vec<&Fault> = Vec::new();
    for fault in all {
        let named = |name: &String| fault.name.contains(name.as_str());
        if options.names.is_empty() || options.names.iter().any(named) {
            chosen.push(fault);
        }
    }
    if let Some(name) = options
        .names
        .iter()
        .find(|name| !all.iter().any(|fault| fault.name.contains(name.as_str())))
    {
        let names: Vec<&str> = all.iter().map(|fault| fault.name.as_str()).collect();
        bail!(drystone_harness::text::suggest::reject("fault", name, &names));
    }
    if options.quick {
        chosen.retain(|fault| !fault.by_conform);
    }
    if let Some(count) = options.sample {
        chosen = sampled(chosen, count, &commit(root)?);
    }
    Ok(chosen)
}

/// So many of the faults that show from outside, drawn by a text.
fn sampled<'a>(mut faults: Vec<&'a Fault>, count: usize, by: &str) -> Vec<&'a Fault> {
    use sha2::{Digest, Sha256};
    faults.retain(|fault| fault.shows);
    faults.sort_by_cached_key(|fault| Sha256::digest(format!("{by} {}", fault.name)).to_vec());
    faults.truncate(count);
    faults
}

/// The commit that is checked out.
fn commit(root: &Path) -> Result<String> {
    let git =
        std::process::Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root).output();
    let output = git.context("git, which draws the --sample")?;
    ensure!(output.status.success(), "--sample is drawn by the commit, and git knows none here");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod prints;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_written_down_and_applies() {
        let root = root().expect("tests run in the clone");
        let all = faults::read(&root).unwrap();
        assert!(all.len() >= 40, "{}", all.len());
        plant::patched(&root, &all).unwrap();
    }

    #[test]
    fn a_patch_that_no_longer_applies_is_named() {
        let root = root().expect("tests run in the clone");
        let mut all = faults::read(&root).unwrap();
        let patch = all.iter_mut().find_map(|fault| fault.patch.as_mut()).unwrap();
        patch.search = "nobody writes this".to_owned();
        let why = format!("{:#}", plant::patched(&root, &all).unwrap_err());
        assert!(why.contains("no longer applies"), "{why}");
    }

    #[test]
    fn other_commits_sample_other_faults() {
        let all = faults::read(&root().unwrap()).unwrap();
        let names = |by: &str| -> Vec<&str> {
            let sample = sampled(all.iter().collect(), 8, by);
            sample.iter().map(|fault| fault.name.as_str()).collect()
        };
        assert_eq!(names("one"), names("one"));
        assert_eq!(names("one").len(), 8);
        assert_ne!(names("one"), names("another"));
    }
}
