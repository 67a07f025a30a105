//! `cargo stress cost` from its arguments to its exit code.

use std::ffi::OsString;

use anyhow::{Context, Result};
use drystone_harness::bounds::Bound;
use drystone_harness::output::progress;
use drystone_harness::process::launcher::Launcher;
use drystone_harness::stop::{self, Stop};
use drystone_harness::{entry, exit};

use crate::allocators::process::Subject;
use crate::cmd::cost::campaign::{self, Results};
use crate::cmd::cost::child::TOOL;
use crate::cmd::cost::cli::Options;
use crate::cmd::cost::{judge, print};

static STOP: Stop = Stop::new();

/// Runs the tool, if these arguments ask for it.
pub fn main(arguments: &[OsString], subjects: &[Subject]) -> Option<u8> {
    entry::named(arguments, TOOL, |options| run(options, subjects))
}

fn run(options: &Options, subjects: &[Subject]) -> Result<u8> {
    let plan = options.plan(subjects).map_err(anyhow::Error::msg)?;
    eprintln!("seed {}, {} rounds of {} allocators", plan.seed, plan.rounds, plan.subjects.len());
    stop::at_ctrl_c(&STOP)?;
    let launcher = Launcher::of_this_binary(options.deadline)?;
    let bar = progress::bar(Some(campaign::steps(&plan)), "{wide_bar} {pos}/{len} {eta} {msg}");
    let measured = campaign::run(plan, &launcher, &STOP, &mut |subject| {
        bar.set_message(subject.to_owned());
        bar.inc(1);
    });
    bar.finish_and_clear();
    let results = measured?;
    let bounds = judge::judge(&results);
    print::results(&results, &bounds, options.printing).context("writing the report")?;
    Ok(code(&results, &bounds))
}

fn code(results: &Results, bounds: &[Bound]) -> u8 {
    let failed = results.subjects.iter().any(|subject| subject.failure.is_some());
    if failed || judge::missed(bounds) {
        return exit::FOUND;
    }
    if results.interrupted {
        eprintln!("stopped before the end");
        return exit::INTERRUPTED;
    }
    if judge::open(bounds) && !results.plan.quick {
        return exit::INTERRUPTED;
    }
    exit::FINE
}
