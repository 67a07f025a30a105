//! The parent's end: starts a child with a plan, and reads its report.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::de::DeserializeOwned;

use super::plan::Task;
use crate::child;
use crate::interrupt::Interrupt;

/// Runs a child with this task, its temporary files in `folder`, and returns its report.
///
/// # Errors
/// [`crate::interrupt::Interrupted`]; or, with the end of the child's output, that it failed.
pub fn spawn<R: DeserializeOwned>(task: &Task, folder: &Path, interrupt: &Interrupt) -> Result<R> {
    let this = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(this);
    if let Task::Time(plan) = task {
        // The size of the environment moves the stack (Mytkowicz and others, "Producing Wrong Data
        // Without Doing Anything Obviously Wrong!", ASPLOS 2009).
        let padding = Pcg64::seed_from_u64(plan.seed ^ 1).random_range(0..4096);
        command.env("RESULTS_PADDING", "x".repeat(padding));
    }
    run(command, task, folder, interrupt)
}

/// The same under `wrapper`, a program that is given this one and its argument as its last
/// arguments.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_under<R: DeserializeOwned>(
    mut wrapper: Command,
    task: &Task,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<R> {
    wrapper.arg(std::env::current_exe().context("cannot find this program")?);
    run(wrapper, task, folder, interrupt)
}

fn run<R: DeserializeOwned>(
    mut command: Command,
    task: &Task,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<R> {
    let (mut stdin, stdout, stderr) = (file(folder)?, file(folder)?, file(folder)?);
    stdin.write_all(serde_json::to_string(task)?.as_bytes())?;
    stdin.rewind()?;
    command
        .arg("child")
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout.try_clone()?))
        .stderr(Stdio::from(stderr.try_clone()?));
    let status = child::run(&mut command, interrupt)?;
    ensure!(status.success(), "a process failed ({status}): {}", read(stderr)?.trim());
    let text = read(stdout)?;
    serde_json::from_str(&text).with_context(|| format!("a process reported `{}`", text.trim()))
}

fn file(folder: &Path) -> Result<File> {
    tempfile::tempfile_in(folder).context("cannot make a temporary file")
}

fn read(mut file: File) -> Result<String> {
    let mut text = String::new();
    file.rewind()?;
    std::io::Read::read_to_string(&mut file, &mut text)?;
    Ok(text)
}
