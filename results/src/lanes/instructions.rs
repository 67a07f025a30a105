//! The instruction lane: callgrind counts two lengths of each row, on either side.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::context::Context;
use super::scripts::shorten;
use crate::evidence::{Instructions, Line, RowPlan};
use crate::interrupt::Interrupted;
use crate::pair::{self, Lengths, MARK, Single, Task};

/// Steps of a recorded program that are counted: its beginning. All of it takes minutes there.
const STEPS: usize = 100_000;

/// Counts the rows of a library, by its place among the context's; returns whether it was
/// interrupted.
///
/// # Errors
/// If valgrind fails, or the evidence cannot be written.
pub fn instructions(context: &mut Context, at: usize) -> Result<bool> {
    let library = &context.libraries[at];
    // Threads wait for each other as often as it happens: no two counts are equal.
    let rows: Vec<RowPlan> = library
        .rows
        .iter()
        .map(|row| library.bare(row))
        .filter(|row| !pair::has_threads(&row.name))
        .collect();
    if rows.is_empty() {
        return Ok(false);
    }
    let scripts = context.scratch.join("beginnings");
    std::fs::create_dir_all(&scripts)?;
    shorten(&context.scripts, STEPS, &scripts)?;
    for side in 0..2 {
        context.progress.detail(if side == 0 { "A" } else { "B" });
        match one(context, at, side, &rows, &scripts) {
            Ok(line) => context.keep(Line::Instructions(line))?,
            Err(error) if error.is::<Interrupted>() => return Ok(true),
            Err(error) => {
                let whose = context.libraries[at].shown();
                return Err(error).context(format!("counting instructions{whose}"));
            }
        }
    }
    Ok(false)
}

fn one(
    context: &mut Context,
    at: usize,
    side: usize,
    rows: &[RowPlan],
    scripts: &Path,
) -> Result<Instructions> {
    let folder = tempfile::tempdir_in(&context.scratch).context("cannot make a folder")?;
    let library = folder.path().join("library.so");
    // One layout for both: a count does not depend on it.
    context.libraries[at].make(side, 1, &library)?;
    let task =
        Task::Instructions(Single { library, rows: rows.to_vec(), scripts: scripts.to_owned() });
    let out = folder.path().join("counts");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--dump-before={MARK}"))
        .arg(format!("--callgrind-out-file={}", out.display()));
    let lengths: Lengths = pair::spawn_under(valgrind, &task, folder.path(), context.interrupt)?;
    let mut rows = BTreeMap::new();
    let prefix = &context.libraries[at].prefix;
    for (place, (row, operations)) in lengths.rows.into_iter().enumerate() {
        // Part 3·place+1 ends at the row's first mark; the next two are its lengths.
        let [short, long] = [2, 3].map(|part| total(&out, 3 * place + part));
        let more =
            long?.checked_sub(short?).context("the longer length took fewer instructions")?;
        ensure!(operations > 0, "`{row}` did nothing");
        rows.insert(format!("{prefix}{row}"), more as f64 / operations as f64);
    }
    Ok(Instructions { side: ['a', 'b'][side], rows })
}

/// The instructions of a part: its line `totals: N`, or `summary: N`.
fn total(out: &Path, part: usize) -> Result<u64> {
    let path = format!("{}.{part}", out.display());
    let text = std::fs::read_to_string(&path);
    let text = text.with_context(|| format!("callgrind wrote no part {part}"))?;
    let lines = || text.lines();
    let line = lines()
        .find_map(|line| line.strip_prefix("summary: "))
        .or_else(|| lines().find_map(|line| line.strip_prefix("totals: ")));
    line.and_then(|number| number.trim().parse().ok())
        .with_context(|| format!("callgrind's part {part} has no total"))
}
