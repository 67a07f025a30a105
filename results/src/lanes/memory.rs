//! The memory lane: as many processes a side and workload as it is judged by, the sides in turn.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::RngExt;
use rand_pcg::Pcg64;

use super::context::Context;
use crate::decide::MEMORY_PROCESSES;
use crate::evidence::{Line, Memory, RowPlan};
use crate::interrupt::Interrupted;
use crate::pair::{self, MemoryReport, Single, TRACE, Task};

/// Rows with many blocks live at once; those of recorded programs come on top.
const ROWS: [&str; 2] = ["ring/16384", "bulk/4096"];

/// Measures; returns whether it was interrupted.
///
/// # Errors
/// If a child fails, or the evidence cannot be written.
pub fn memory(context: &mut Context) -> Result<bool> {
    let rows: Vec<RowPlan> = context.libraries[0]
        .rows
        .iter()
        .filter(|row| ROWS.contains(&row.name.as_str()) || row.name.starts_with(TRACE))
        .cloned()
        .collect();
    if rows.is_empty() {
        return Ok(false);
    }
    let all = 2 * MEMORY_PROCESSES as u32;
    for number in 0..all {
        if context.left() == Duration::ZERO {
            return Ok(false);
        }
        // A B B A A B B A: what drifts falls on both alike.
        let side = usize::from(matches!(number % 4, 1 | 2));
        context.progress.detail(&format!("process {} of {}", number + 1, all));
        match one(context, number, side, &rows) {
            Ok(line) => context.keep(Line::Memory(line))?,
            Err(error) if error.is::<Interrupted>() => return Ok(true),
            Err(error) => return Err(error).context("measuring memory"),
        }
    }
    Ok(false)
}

/// One process for each row, all of one side.
fn one(context: &mut Context, number: u32, side: usize, rows: &[RowPlan]) -> Result<Memory> {
    let folder = tempfile::tempdir_in(&context.scratch).context("cannot make a folder")?;
    let library = folder.path().join("library.so");
    // Its own stream of choices, apart from the time lane's.
    let mut random = Pcg64::new(u128::from(context.seed), 1 << 64 | u128::from(number));
    let seed = u64::from(random.random::<u32>() >> 1);
    context.libraries[0].make(side, seed, &library)?;
    let mut measured = BTreeMap::new();
    for row in rows {
        let task = Task::Memory(Single {
            library: library.clone(),
            rows: vec![row.clone()],
            scripts: context.scripts.clone(),
        });
        let report: MemoryReport = pair::spawn(&task, folder.path(), context.interrupt)?;
        measured.insert(row.name.clone(), report);
    }
    Ok(Memory { side: ['a', 'b'][side], number, rows: measured })
}
