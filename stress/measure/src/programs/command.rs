//! One command, run by a process in between that does nothing else: a process's peak counts what it
//! was before it became its program, and this tool may have grown by then.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use drystone_harness::exit;
use drystone_harness::process::launcher::{End, Ended, Launcher};
use drystone_harness::process::resources::{Resources, reap};
use drystone_harness::stop::Stop;
use serde::{Deserialize, Serialize};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The name of this tool, of which the process in between is a child.
pub const TOOL: &str = "programs";

/// Beginnings of variables that tell an allocator, the loader or a program something.
pub const TELLING: [&str; 8] =
    ["LD_", "DRYSTONE_", "MALLOC_", "MIMALLOC_", "GLIBC_TUNABLES", "STRESS_", "PYTHON", "GIT_"];

/// Whether a variable tells an allocator, the loader or a program something.
pub fn is_telling(name: &str) -> bool {
    TELLING.iter().any(|beginning| name.starts_with(beginning))
}

/// What the process in between is asked to do.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    arguments: Vec<String>,
    /// What tells the command something, and is not meant for the process in between.
    environment: Vec<(String, OsString)>,
    report: PathBuf,
}

/// What the process in between reports.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    status: i32,
    resources: Resources,
}

/// Runs `arguments` in `folder` with `environment` and no other.
///
/// # Errors
/// It can't be started or waited for.
pub fn run(
    launcher: &Launcher,
    arguments: &[String],
    folder: &Path,
    environment: &[(String, OsString)],
    stop: &Stop,
) -> Result<Ended> {
    let report = tempfile::NamedTempFile::new().context("a file for what a command used")?;
    let (telling, plain): (Vec<_>, Vec<_>) =
        environment.iter().cloned().partition(|(name, _)| is_telling(name));
    let job = Job {
        arguments: arguments.to_vec(),
        environment: telling,
        report: report.path().to_owned(),
    };
    let mut command = launcher.child(&[], TOOL, &job, None)?;
    command.current_dir(folder).env_clear().envs(plain);
    let ended = launcher.run(command, stop)?;
    match ended.end {
        End::Exited(0) => {}
        End::Exited(_) => bail!("{}", String::from_utf8_lossy(&ended.errors).trim()),
        _ => return Ok(Ended { resources: Resources::default(), ..ended }),
    }
    let text = fs::read_to_string(report.path()).context("reading what a command used")?;
    let Report { status, resources } =
        serde_json::from_str(&text).context("what a command used")?;
    Ok(Ended { end: End::from(ExitStatus::from_raw(status)), resources, ..ended })
}

/// The process in between: does its job, and returns its exit code.
pub fn child_main(job: &str) -> u8 {
    match between(job) {
        Ok(()) => exit::FINE,
        Err(error) => {
            eprintln!("{error:#}");
            exit::FAILED
        }
    }
}

fn between(job: &str) -> Result<()> {
    let job: Job = serde_json::from_str(job).context("the command's job")?;
    let (program, arguments) = job.arguments.split_first().context("no command")?;
    let began = Instant::now();
    let child = Command::new(program).args(arguments).envs(job.environment).spawn();
    let child = child.with_context(|| program.clone())?;
    let (status, resources) =
        reap(child.id(), || began.elapsed()).context("waiting for a command")?;
    let text = Report { status: status.into_raw(), resources };
    fs::write(&job.report, serde_json::to_string(&text)?).context("reporting what a command used")
}
