//! Recorded traces, unpacked for the children.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use drystone_workloads::trace::{Script, Trace};

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
        let mut out =
            BufWriter::new(File::create(folder.join(name)).context("cannot write a script")?);
        Script::of(&trace).write_to(&mut out)?;
        out.flush()?;
    }
    Ok(())
}
