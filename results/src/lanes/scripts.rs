//! Recorded traces, unpacked for the children.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use drystone_workloads::trace::{Script, ScriptStep, Trace};

/// The names of the traces that come with the harness, in order, with their files.
pub fn known() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../workloads/traces");
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let named = |path: PathBuf| {
        let is_trace = path.extension().is_some_and(|extension| extension == "trace");
        let name = path.file_stem()?.to_str()?.to_owned();
        is_trace.then_some((name, path))
    };
    let mut traces: Vec<_> = paths.filter_map(named).collect();
    traces.sort();
    traces
}

/// Writes each trace's script into `folder`, by its name.
///
/// # Errors
/// If a trace cannot be read, or a script written.
pub fn unpack(traces: &[(String, PathBuf)], folder: &Path) -> Result<()> {
    for (name, path) in traces {
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
