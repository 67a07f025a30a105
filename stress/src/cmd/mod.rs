//! The subcommands, a file each, and the tool from its arguments to its exit code, for a given set of subjects.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use drystone_harness::exit;
use drystone_harness::output;
use drystone_harness::process::child::{Tool, dispatch};
use drystone_harness::stop::{self, Stop};
use drystone_measure::{bench, programs};
use drystone_workloads::registry::Parameter;
use drystone_workloads::trace::Trace;

use crate::allocators::process::Subject;
use crate::child;
use crate::model::spec::Workload;
use crate::plan::campaign_file;
use crate::plan::options::Options;
use crate::plan::runs::Plan;
use crate::runner::campaign::{self, Results};
use crate::runner::episode::Episodes;
use crate::runner::progress::Bar;
use crate::runner::record::{Begin, Writer};
use crate::runner::supervisor::{self, Supervisor};

pub mod cost;
pub mod inject;
pub mod join;
pub mod replay;
pub mod report;
pub mod shrink;

/// Runs the tool, or the child that the tool has started, on this process's arguments.
pub fn main(subjects: &[Subject]) -> ExitCode {
    run(env::args_os().collect(), subjects)
}

/// Runs the tool, or the child that the tool has started, on these arguments, the program's name first.
pub fn run(arguments: Vec<OsString>, subjects: &[Subject]) -> ExitCode {
    if let Some(code) = child_main(&arguments, subjects) {
        return code;
    }
    if let Some(code) = bench::tool::main(&arguments) {
        return code.into();
    }
    if let Some(code) = cost::tool::main(&arguments, subjects) {
        return code.into();
    }
    if let Some(code) = drystone_conform::tool::main(&arguments) {
        return code.into();
    }
    if let Some(code) = programs::tool::main(&arguments) {
        return code.into();
    }
    if arguments.get(1).is_some_and(|first| first == "refuse") {
        return inject::main(&arguments[1..], subjects).into();
    }
    if let Some(code) = on_findings(&arguments) {
        return code.into();
    }
    let options = Options::parse_from(arguments);
    if options.list {
        return match output::write(&list(subjects)) {
            Err(error) => refuse(&format!("writing the list: {error}")),
            Ok(()) => exit::FINE.into(),
        };
    }
    let plan = match &options.campaign {
        Some(file) => campaign_file::plan(file, &options, subjects),
        None => options.plan(subjects),
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(why) => return refuse(&why),
    };
    let traces: Vec<PathBuf> = plan.runs.iter().filter_map(|spec| spec.trace.clone()).collect();
    if let Err(why) = readable(&traces) {
        return refuse(&why);
    }
    match stress(plan, &options) {
        Ok(results) => code(&results).into(),
        Err(error) => refuse(&format!("{error:#}")),
    }
}

/// Runs one of the tools that work on what others have written, if the arguments ask for it.
pub fn on_findings(arguments: &[OsString]) -> Option<u8> {
    match arguments.get(1)?.to_str()? {
        "replay" => Some(replay::main(&arguments[1..])),
        "join" => Some(join::main(&arguments[1..])),
        "shrink" => Some(shrink::main(&arguments[1..])),
        _ => None,
    }
}

/// Refuses a trace that can't be read before the first run, which may be hours before its own.
fn readable(traces: &[PathBuf]) -> Result<(), String> {
    traces.iter().try_for_each(|path| match Trace::read(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("--trace {}: {error}", path.display())),
    })
}

/// Runs the child, if these are a child's arguments.
pub fn child_main(arguments: &[OsString], subjects: &[Subject]) -> Option<ExitCode> {
    let tools: [Tool<'_>; 5] = [
        (supervisor::TOOL, &|run| child::main(run, subjects)),
        (cost::child::TOOL, &|job| cost::child::main(job, subjects)),
        (bench::job::TOOL, &bench::child::main),
        (programs::command::TOOL, &programs::command::child_main),
        (drystone_conform::protocol::job::TOOL, &drystone_conform::child_main::main),
    ];
    dispatch(arguments, &tools).map(ExitCode::from)
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
    let record = Writer::begin(options.record.as_deref(), begin).map_err(anyhow::Error::msg)?;
    let bar = Bar::new(&plan);
    let episodes = Episodes {
        supervisor: Supervisor::of_this_binary()?,
        length: options.episode,
        findings: Some(options.findings.clone()),
        growth_after: options.growth_after,
    };
    let results = campaign::run(plan, &episodes, &STOP, &bar, record);
    report::print(&results, options.printing).context("writing the report")?;
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

fn list(subjects: &[Subject]) -> String {
    let mut text = String::from("Subjects (or the path of a shared library):\n");
    for subject in subjects {
        text += &format!("  {:<8} {}\n", subject.name, subject.about);
    }
    text += "Workloads:\n";
    for workload in Workload::ALL {
        text += &format!("  {:<14} {}\n", workload.name(), workload.about());
        text += &format!("  {:<14} after {}\n", "", workload.source());
        for Parameter { name, about, default, .. } in workload.parameters() {
            text += &format!("  {:<14} {name}={default}  {about}\n", "");
        }
    }
    text
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("error: {why}");
    exit::FAILED.into()
}
