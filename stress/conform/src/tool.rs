//! `cargo stress conform` from its arguments to its exit code.

use anyhow::{Context, Result};
use drystone_harness::allocators::Folders;
use drystone_harness::exit;
use drystone_harness::output;
use drystone_harness::output::progress;
use drystone_harness::process::dlopen_fixture::DlopenFixture;
use drystone_harness::process::launcher::Launcher;
use drystone_harness::stop::{self, Stop};

use crate::campaign;
use crate::cli::Options;
use crate::mistake;
use crate::results::Results;
use crate::{allocators, checks, print};

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
    stop::at_ctrl_c(&STOP)?;
    // Without it some rows can't be checked, and say so.
    let fixture =
        DlopenFixture::compile().map_err(|why| eprintln!("no library to load: {why}")).ok();
    let launcher = Launcher::of_this_binary(plan.deadline)?;
    let bar = progress::steps(campaign::count(&plan));
    let results = campaign::run(plan, &launcher, fixture.as_ref(), &STOP, &|row, allocator| {
        bar.set_message(format!("{row} {allocator}"));
        bar.inc(1);
    });
    bar.finish_and_clear();
    let results = results?;
    print::results(&results, options.printing).context("writing the report")?;
    Ok(conclude(&results))
}

fn conclude(results: &Results) -> u8 {
    let (findings, untold) = (results.findings().len(), results.untold());
    let stopped = if results.interrupted { "stopped before the end; " } else { "" };
    for (row, why) in &untold {
        eprintln!("{row}: can't be checked here: {why}");
    }
    match findings {
        0 => eprintln!("{stopped}all that was judged has passed"),
        1 => eprintln!("{stopped}1 finding"),
        _ => eprintln!("{stopped}{findings} findings"),
    }
    match (findings, results.interrupted || !untold.is_empty()) {
        (1.., _) => exit::FOUND,
        (_, true) => exit::INTERRUPTED,
        _ => exit::FINE,
    }
}

fn list(folders: &Folders) -> Result<u8> {
    let mut text = String::from("Allocators (or the path of a shared library, or NAME=PATH):\n");
    for allocator in allocators::usual(folders, &[])? {
        text += &format!("  {}\n", allocator.name);
    }
    text += "Rows (what must hold, or is recorded; its source):\n";
    for row in checks::rows() {
        text += &format!("  {}: {} [{}]\n", row.name, row.about, row.source);
    }
    text += "Mistakes (each with a benign twin, twin/...):\n";
    for (mistake, size) in mistake::all() {
        text += &format!("  {}\n", mistake::row_name(mistake, size, false));
    }
    output::write(&text).context("writing the list")?;
    Ok(exit::FINE)
}
