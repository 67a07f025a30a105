//! `cargo stress bench` from its arguments to its exit code.

use anyhow::{Context, Result};
use drystone_harness::allocators::Folders;
use drystone_harness::exit;
use drystone_harness::output;
use drystone_harness::output::progress;
use drystone_harness::process::launcher::Launcher;
use drystone_harness::stop::{self, Stop};

use crate::bench::campaign::{self, Results};
use crate::bench::cli::{Command, Options, Plan, Who};
use crate::bench::print::csv::Csv;
use crate::bench::work::pairs::AtMost;
use crate::bench::{bounds, instructions, print, suite};

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
    if let Some(Command::Instructions { who, at_most }) = &options.command {
        return count(who, at_most, &folders);
    }
    let plan = options.plan(&folders)?;
    announce(&plan, &folders);
    stop::at_ctrl_c(&STOP)?;
    let csv = options.csv.as_deref().map(Csv::open).transpose()?;
    let launcher = Launcher::of_this_binary(plan.deadline)?;
    let bar = progress::steps(campaign::steps(&plan));
    let measured = campaign::run(plan, &launcher, &STOP, &mut |row, allocator| {
        bar.set_message(format!("{row} {allocator}"));
        bar.inc(1);
    });
    bar.finish_and_clear();
    let results = measured?;
    let bounds = bounds::judge(&results);
    print::results(&results, &bounds, &options.who).context("writing the report")?;
    if let Some(csv) = csv {
        csv.write(&results)?;
    }
    Ok(code(&results))
}

fn count(who: &Who, at_most: &[AtMost], folders: &Folders) -> Result<u8> {
    let allocators = who.chosen(folders)?;
    stop::at_ctrl_c(&STOP)?;
    let bar = progress::steps(allocators.len() as u64);
    let counted = instructions::count(allocators, &STOP, |allocator| {
        bar.set_message(allocator.to_owned());
        bar.inc(1);
    });
    bar.finish_and_clear();
    let counts = counted?;
    print::counts(&counts, who).context("writing the report")?;
    let broken = instructions::broken(&counts, at_most);
    for AtMost { call, instructions } in &broken {
        eprintln!("a pair of {call} is to execute {instructions} instructions at most");
    }
    let failed = counts.iter().any(|count| count.failure.is_some());
    Ok(match (STOP.is_set(), failed || !broken.is_empty()) {
        (true, _) => exit::INTERRUPTED,
        (_, true) => exit::FOUND,
        _ => exit::FINE,
    })
}

fn announce(plan: &Plan, folders: &Folders) {
    let (rows, allocators) = (plan.rows.len(), plan.allocators.len());
    eprintln!(
        "seed {}, {} rounds of {rows} rows with {allocators} allocators",
        plan.seed, plan.rounds
    );
    let missing = folders.missing();
    if !missing.is_empty() {
        eprintln!("not here: {} (peers/build-libraries builds them)", missing.join(", "));
    }
}

fn code(results: &Results) -> u8 {
    let mut failures = 0;
    for (row, allocator, failure) in results.failures() {
        eprintln!("{allocator} failed in {row}: {}", failure.short);
        failures += 1;
    }
    match (failures, results.interrupted, results.worked()) {
        (1.., ..) => exit::FOUND,
        (_, true, _) => {
            eprintln!("stopped before the end");
            exit::INTERRUPTED
        }
        (.., false) => {
            eprintln!("error: nothing was measured");
            exit::FAILED
        }
        _ => exit::FINE,
    }
}

fn list(folders: &Folders) -> Result<u8> {
    let mut text = String::from("Allocators (or the path of a shared library, or NAME=PATH):\n");
    for allocator in folders.all()? {
        text += &format!("  {:<16} {}\n", allocator.name, allocator.version);
    }
    text += "Rows:\n";
    for row in suite::rows(false)? {
        text += &format!("  {}\n", row.name);
    }
    output::write(&text).context("writing the list")?;
    Ok(exit::FINE)
}
