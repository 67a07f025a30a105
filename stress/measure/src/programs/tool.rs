//! `cargo stress programs` from its arguments to its exit code.

use anyhow::{Context, Result};
use drystone_harness::allocators::Folders;
use drystone_harness::exit;
use drystone_harness::output;
use drystone_harness::output::progress;
use drystone_harness::process::launcher::Launcher;
use drystone_harness::stop::{self, Stop};
use indicatif::ProgressBar;

use crate::programs::campaign::{self, Progress, Results};
use crate::programs::catalogue::ALL;
use crate::programs::cli::Options;
use crate::programs::print;

static STOP: Stop = Stop::new();

/// Runs the tool; its exit code.
///
/// # Errors
/// Wrong usage, or the tool fails.
pub fn run(options: &Options) -> Result<u8> {
    let folders = Folders::of_this_binary()?;
    if options.list {
        return list(&folders);
    }
    let plan = options.plan(&folders)?;
    let (programs, jobs) = (plan.programs.len(), plan.jobs.min(plan.programs.len()));
    eprintln!("{programs} programs, {jobs} at once, {} rounds", plan.rounds);
    stop::at_ctrl_c(&STOP)?;
    let folder = tempfile::Builder::new().prefix("programs").tempdir().context("a folder")?;
    // As a program sees it that asks where it is.
    let path = folder.path().canonicalize().context("the folder's path")?;
    let bar = Bar::new(programs as u64);
    let launcher = Launcher::of_this_binary(plan.deadline)?;
    let results = campaign::run(plan, &launcher, &path, &STOP, &bar);
    bar.0.finish_and_clear();
    let results = results?;
    print::results(&results, options.printing).context("writing the report")?;
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
        eprintln!(
            "error: {failed} programs fail without any allocator preloaded: nothing can be told of \
             them"
        );
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
    let mut text = String::from("Allocators (or the path of a shared library, or NAME=PATH):\n");
    for allocator in folders.all()? {
        text += &format!("  {:<18} {}\n", allocator.name, allocator.version);
    }
    text += "Programs:\n";
    for program in ALL {
        text += &format!("  {:<18} {}\n", program.name, program.about);
    }
    output::write(&text).context("writing the list")?;
    Ok(exit::FINE)
}

/// On standard error, if that is a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new(steps: u64) -> Self {
        Self(progress::steps(steps))
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
