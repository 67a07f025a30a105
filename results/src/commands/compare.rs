//! `results compare`: builds both sides, measures them, says what changed.

use anyhow::Result;

use super::options::CompareArguments;
use crate::calibration;
use crate::decide::Judged;
use crate::interrupt::Interrupt;
use crate::session::{self, Unbuilt, Wishes};
use crate::side::default_a;

/// Runs the subcommand; prints the report.
///
/// # Errors
/// If a side stands for nothing or does not build, or nothing could be measured.
pub fn run(arguments: &CompareArguments, interrupt: &Interrupt) -> Result<u8> {
    arguments.report.check()?;
    let a = arguments.a.clone().map_or_else(default_a, Ok)?;
    let unbuilt = Unbuilt::find([a, arguments.b.clone()], arguments.recipe.as_deref())?;
    let wishes = Wishes { also: unbuilt.also()?.to_vec(), ..arguments.wishes() };
    wishes.rows()?;
    let sides = unbuilt.build(interrupt)?;
    let (evidence, path) = session::run(&sides, &wishes, interrupt)?;
    let mut judged = Judged::of(evidence);
    judged.notes.extend(calibration::note(sides.home(), &judged.header, judged.why())?);
    arguments.report.tell(&judged, &path)?;
    eprintln!("evidence: {path}");
    Ok(judged.exit_code(arguments.report.fail_on))
}
