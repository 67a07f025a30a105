//! `cargo stress` without a subcommand: a campaign from its options to its exit code.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use drystone_harness::allocators::Folders;
use drystone_harness::exit;
use drystone_harness::stop::{self, Stop};
use drystone_workloads::trace::Trace;

use crate::allocators::process::AllocatorEntry;
use crate::cmd::junit::Junit;
use crate::cmd::{list, report};
use crate::model::runs::{Plan, Results};
use crate::plan::campaign_file;
use crate::plan::options::Options;
use crate::runner::campaign;
use crate::runner::episode::Episodes;
use crate::runner::progress::Bar;
use crate::runner::record::{Begin, Writer};
use crate::runner::supervisor::Supervisor;

/// Runs the campaign, or lists its allocators and workloads; the exit code.
///
/// # Errors
/// Wrong usage, or the tool fails.
pub fn run(options: &Options, linked: &[AllocatorEntry]) -> Result<u8> {
    let folders = Folders::of_this_binary()?;
    if options.list {
        return list::print(linked, &folders);
    }
    let plan = match &options.campaign {
        Some(file) => campaign_file::plan(file, options, linked, &folders),
        None => options.plan(linked, &folders),
    }?;
    let traces: Vec<PathBuf> = plan.runs.iter().filter_map(|spec| spec.trace.clone()).collect();
    readable(&traces)?;
    Ok(code(&stress(plan, options)?))
}

/// Rejects a trace that can't be read before the first run, which may be hours before its own.
fn readable(traces: &[PathBuf]) -> Result<()> {
    traces.iter().try_for_each(|path| match Trace::read(path) {
        Ok(_) => Ok(()),
        Err(error) => bail!("--trace {}: {error}", path.display()),
    })
}

fn stress(plan: Plan, options: &Options) -> Result<Results> {
    static STOP: Stop = Stop::new();
    stop::at_ctrl_c(&STOP)?;
    let threads = if plan.threads == 1 { "thread" } else { "threads" };
    let shard = plan.shard.map_or(String::new(), |shard| format!(", shard {shard}"));
    eprintln!("seed {}, {} {threads}{shard}", plan.seed, plan.threads);
    for why in &plan.left_out {
        eprintln!("left out: {why}");
    }
    let begin = Begin::new(plan.seed, plan.shard, plan.threads, &plan.runs);
    let record = Writer::begin(options.record.as_deref(), begin)?;
    let junit = options.junit.as_deref().map(Junit::open).transpose()?;
    let bar = Bar::new(&plan);
    let supervisor = Supervisor::of_this_binary()?;
    let patience = supervisor.patience.max(options.deadline * 2);
    let episodes = Episodes {
        supervisor: Supervisor { patience, deadline: options.deadline, ..supervisor },
        length: options.episode,
        findings: Some(options.findings.clone()),
        growth_after: options.growth_after,
        first_only: options.first,
    };
    let results = campaign::run(plan, &episodes, &STOP, &bar, record);
    report::print(&results, options.printing).context("writing the report")?;
    if let Some(junit) = junit {
        junit.write(&results)?;
    }
    conclude(&results);
    Ok(results)
}

fn conclude(results: &Results) {
    for failure in &results.failures {
        eprintln!("error: {failure}");
    }
    let stopped = if results.interrupted { "stopped; " } else { "" };
    match results.findings().count() {
        0 if results.failures.is_empty() && results.interrupted => {
            eprintln!(
                "stopped before the end; no finding so far (exit code {})",
                exit::INTERRUPTED
            );
        }
        0 if results.failures.is_empty() => eprintln!("{stopped}no finding"),
        0 => eprintln!("{stopped}nothing can be concluded"),
        1 => eprintln!("{stopped}1 finding"),
        count => eprintln!("{stopped}{count} findings"),
    }
}

fn code(results: &Results) -> u8 {
    if results.findings().next().is_some() {
        exit::FOUND
    } else if !results.failures.is_empty() {
        exit::FAILED
    } else if results.interrupted {
        exit::INTERRUPTED
    } else {
        exit::FINE
    }
}
