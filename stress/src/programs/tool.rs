//! `cargo stress programs` from its arguments to its exit code.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::campaign::{self, Progress, Results};
use super::catalogue::ALL;
use super::cli::Options;
use super::command::{self, Launcher};
use super::print;
use crate::bench::subjects::Folders;
use crate::exit;
use crate::stop::{self, Stop};
use crate::supervisor::without_core_files;

static STOP: Stop = Stop::new();

/// The first argument that asks for this tool.
pub const NAME: &str = "programs";

/// Runs the tool or the process in between, if these arguments ask for either.
pub fn main(arguments: &[OsString]) -> Option<u8> {
    if let Some(code) = command::main(arguments) {
        return Some(code);
    }
    let [_, first, ..] = arguments else { return None };
    if first != NAME {
        return None;
    }
    let options = Options::parse_from(&arguments[1..]);
    Some(run(&options).unwrap_or_else(|why| {
        eprintln!("error: {why:#}");
        exit::FAILED
    }))
}

fn run(options: &Options) -> Result<u8> {
    let folders = Folders::of_this_binary().map_err(anyhow::Error::msg)?;
    if options.list {
        return list(&folders);
    }
    let plan = options.plan(&folders).map_err(anyhow::Error::msg)?;
    let (programs, jobs) = (plan.programs.len(), plan.jobs.min(plan.programs.len()));
    eprintln!("{programs} programs, {jobs} at once, {} rounds", plan.rounds);
    stop::at_ctrl_c(&STOP)?;
    without_core_files().context("forbidding core files")?;
    let folder = tempfile::Builder::new().prefix("programs").tempdir().context("a folder")?;
    // As a program sees it that asks where it is.
    let path = folder.path().canonicalize().context("the folder's path")?;
    let bar = Bar::new(programs as u64);
    let helper = std::env::current_exe().context("this program's own path")?;
    let launcher = Launcher { helper, deadline: plan.deadline };
    let results = campaign::run(plan, &launcher, &path, &STOP, &bar);
    bar.0.finish_and_clear();
    let results = results?;
    print::results(&results, options.format, options.color).context("writing the report")?;
    Ok(conclude(&results))
}

fn conclude(results: &Results) -> u8 {
    let found = results.findings().count();
    let failed = results.rows.iter().filter(|row| row.failure.is_some()).count();
    let missing = results.rows.iter().filter(|row| row.missing.is_some()).count();
    if found > 0 {
        eprintln!("{found} findings");
        return exit::FOUND;
    }
    if failed > 0 {
        eprintln!("error: {failed} programs fail without any subject: nothing can be told of them");
        return exit::FAILED;
    }
    if results.interrupted {
        eprintln!("stopped before the end; no finding so far");
        return exit::INTERRUPTED;
    }
    if missing > 0 {
        eprintln!("{missing} programs are not here; no finding in the others");
        return exit::INTERRUPTED;
    }
    eprintln!("no finding");
    exit::FINE
}

fn list(folders: &Folders) -> Result<u8> {
    println!("Subjects (or the path of a shared library, or NAME=PATH):");
    for subject in folders.all().map_err(anyhow::Error::msg)? {
        println!("  {:<18} {}", subject.name, subject.version);
    }
    println!("Programs:");
    for program in ALL {
        println!("  {:<18} {}", program.name, program.about);
    }
    Ok(exit::FINE)
}

/// On standard error, if that is a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new(steps: u64) -> Self {
        let target = match io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}");
        let bar = ProgressBar::with_draw_target(Some(steps), target);
        Self(bar.with_style(style.expect("the template is a constant")))
    }
}

impl Progress for Bar {
    fn begins(&self, program: &str) {
        self.0.set_message(program.to_owned());
    }

    fn done(&self) {
        self.0.inc(1);
    }
}
