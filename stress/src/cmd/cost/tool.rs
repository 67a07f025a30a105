//! `cargo stress cost` from its arguments to its exit code.

use anyhow::{Context, Result};
use drystone_harness::allocators::Folders;
use drystone_harness::bounds::Bound;
use drystone_harness::exit;
use drystone_harness::output::progress;
use drystone_harness::process::launcher::Launcher;
use drystone_harness::stop::{self, Stop};

use crate::allocators::process::AllocatorEntry;
use crate::cmd::cost::campaign::{self, Results};
use crate::cmd::cost::cli::Options;
use crate::cmd::cost::{judge, print};

static STOP: Stop = Stop::new();

/// Runs the tool; its exit code.
///
/// # Errors
/// Wrong usage, or the tool fails.
pub fn run(options: &Options, linked: &[AllocatorEntry]) -> Result<u8> {
    let folders = Folders::of_this_binary()?;
    let plan = options.plan(linked, &folders)?;
    eprintln!("seed {}, {} rounds of {} allocators", plan.seed, plan.rounds, plan.allocators.len());
    stop::at_ctrl_c(&STOP)?;
    let launcher = Launcher::of_this_binary(options.deadline)?;
    let bar = progress::steps(campaign::steps(&plan));
    let measured = campaign::run(plan, &launcher, &STOP, &mut |allocator| {
        bar.set_message(allocator.to_owned());
        bar.inc(1);
    });
    bar.finish_and_clear();
    let results = measured?;
    let bounds = judge::judge(&results);
    print::results(&results, &bounds, options.printing).context("writing the report")?;
    Ok(code(&results, &bounds))
}

fn code(results: &Results, bounds: &[Bound]) -> u8 {
    let failed = results.allocators.iter().any(|allocator| allocator.failure.is_some());
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
