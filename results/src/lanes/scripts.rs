//! Recorded traces, unpacked for the children.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use drystone_workloads::committed;
use drystone_workloads::trace::{Script, ScriptStep, Trace};

use crate::evidence::RowPlan;
use crate::pair::TRACE;

/// Writes the script of each trace that one of the rows replays into `folder`, by its name.
///
/// # Errors
/// If a trace cannot be read, or a script written.
pub fn unpack(rows: &[RowPlan], folder: &Path) -> Result<()> {
    // A row of a library besides has that library's name in front.
    let is_replayed = |name: &str| {
        let row = format!("{TRACE}{name}");
        rows.iter().any(|planned| planned.name.ends_with(&row))
    };
    let known = committed::all().unwrap_or_default();
    for (name, path) in known.iter().filter(|(name, _)| is_replayed(name)) {
        let trace = Trace::read(path).with_context(|| format!("trace {}", path.display()))?;
        write(&Script::of(&trace), &folder.join(name))?;
    }
    Ok(())
}

/// Writes the beginning of each script in `from`, of about so many steps, into `folder`.
///
/// # Errors
/// If a script cannot be read or written.
pub fn shorten(from: &Path, most: usize, folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let script = Script::read_from(&mut BufReader::new(File::open(entry.path())?))?;
        write(&beginning(script, most), &folder.join(entry.file_name()))?;
    }
    Ok(())
}

fn write(script: &Script, path: &Path) -> Result<()> {
    let mut out = BufWriter::new(File::create(path).context("cannot write a script")?);
    script.write_to(&mut out)?;
    out.flush()?;
    Ok(())
}

/// The first steps; what lives after them is freed, as a script's end has it.
fn beginning(mut script: Script, most: usize) -> Script {
    script.steps.truncate(most);
    let mut live = BTreeSet::new();
    for step in &script.steps {
        match *step {
            ScriptStep::Malloc { slot, .. }
            | ScriptStep::Calloc { slot, .. }
            | ScriptStep::AlignedAlloc { slot, .. }
            | ScriptStep::Realloc { slot, .. } => live.insert(slot),
            ScriptStep::Free { slot } => live.remove(&slot),
        };
    }
    script.steps.extend(live.into_iter().map(|slot| ScriptStep::Free { slot }));
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_ends_with_nothing_alive() {
        let malloc = |slot| ScriptStep::Malloc { slot, size: 8 };
        let free = |slot| ScriptStep::Free { slot };
        let whole = Script { steps: vec![malloc(0), malloc(1), free(0), free(1)], slots: 2 };
        assert_eq!(beginning(whole.clone(), 3).steps, [malloc(0), malloc(1), free(0), free(1)]);
        assert_eq!(beginning(whole.clone(), 2).steps, [malloc(0), malloc(1), free(0), free(1)]);
        assert_eq!(beginning(whole.clone(), 1).steps, [malloc(0), free(0)]);
        assert_eq!(beginning(whole.clone(), 9), whole);
    }
}
