//! The parent's end: starts a child with a plan, and reads its report.

use std::fs::File;
use std::io::{Seek, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::plan::{Plan, Report};
use crate::child;
use crate::interrupt::Interrupt;

/// Runs a process of the plan.
///
/// # Errors
/// [`crate::interrupt::Interrupted`]; or, with the child's last words, that it failed.
pub fn spawn(plan: &Plan, interrupt: &Interrupt) -> Result<Report> {
    let folder = plan.libraries[0].parent().context("a library lies in a folder")?;
    let (mut stdin, stdout, stderr) = (file(folder)?, file(folder)?, file(folder)?);
    stdin.write_all(serde_json::to_string(plan)?.as_bytes())?;
    stdin.rewind()?;
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    // The size of the environment moves the stack (Mytkowicz and others, "Producing Wrong Data Without
    // Doing Anything Obviously Wrong!", ASPLOS 2009).
    let padding = Pcg64::seed_from_u64(plan.seed ^ 1).random_range(0..4096);
    command
        .arg("pair")
        .env_remove("LD_PRELOAD")
        .env("RESULTS_PADDING", "x".repeat(padding))
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout.try_clone()?))
        .stderr(Stdio::from(stderr.try_clone()?));
    let status = child::run(&mut command, interrupt)?;
    ensure!(status.success(), "a process failed ({status}): {}", read(stderr)?.trim());
    let text = read(stdout)?;
    serde_json::from_str(&text).with_context(|| format!("a process reported `{}`", text.trim()))
}

fn file(folder: &std::path::Path) -> Result<File> {
    tempfile::tempfile_in(folder).context("cannot make a temporary file")
}

fn read(mut file: File) -> Result<String> {
    let mut text = String::new();
    file.rewind()?;
    std::io::Read::read_to_string(&mut file, &mut text)?;
    Ok(text)
}
