//! One line for each of several traces.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use drystone_workloads::cli::printing::{Format, Printing};
use drystone_workloads::trace::{Summary, Trace};
use serde_json::json;

use crate::print::{grouped, markdown, table};

/// The version of what `--format json` prints.
const JSON_VERSION: u32 = 1;

struct Listed {
    name: String,
    trace: Trace,
    handed_over: u64,
    bytes: u64,
}

/// The traces' figures, as they are asked for, ending in a newline.
///
/// # Errors
/// If a trace cannot be read.
pub fn render(files: &[PathBuf], printing: Printing) -> Result<String> {
    let listed = files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
    let text = match printing.format {
        Format::Json => serde_json::to_string_pretty(&as_json(&listed))?,
        Format::Markdown => markdown(HEADS, 2, listed.iter().map(in_markdown)),
        Format::Table => table(printing, HEADS, 2, listed.iter().map(row)),
    };
    Ok(text + "\n")
}

fn read(file: &Path) -> Result<Listed> {
    let trace = Trace::read(file)?;
    let shown = file.display();
    let bytes = std::fs::metadata(file).with_context(|| format!("{shown} is gone"))?.len();
    Ok(Listed { name: name(file), handed_over: Summary::of(&trace).handed_over, trace, bytes })
}

/// A trace is called by its file, without the folder and the ending.
pub fn name(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

const HEADS: [&str; 8] = [
    "trace",
    "command",
    "operations",
    "blocks",
    "threads",
    "ended by another thread",
    "peak live bytes",
    "file bytes",
];

fn row(one: &Listed) -> [String; 8] {
    let Listed { name, trace, handed_over, bytes } = one;
    [
        name.clone(),
        trace.command().to_owned(),
        grouped(trace.ops().len() as u64),
        grouped(trace.blocks().into()),
        grouped(trace.threads().into()),
        grouped(*handed_over),
        grouped(trace.peak_live_bytes()),
        grouped(*bytes),
    ]
}

/// The command as code, what is noted behind it as text; a bar would end the cell.
fn in_markdown(one: &Listed) -> [String; 8] {
    let mut row = row(one);
    let marked = match row[1].split_once("  # ") {
        Some((command, about)) => format!("`{command}` ({about})"),
        None => format!("`{}`", row[1]),
    };
    row[1] = marked.replace('|', "\\|");
    row
}

fn as_json(listed: &[Listed]) -> serde_json::Value {
    let one = |one: &Listed| {
        json!({
            "name": one.name,
            "command": one.trace.command(),
            "operations": one.trace.ops().len(),
            "blocks": one.trace.blocks(),
            "threads": one.trace.threads(),
            "handed_over": one.handed_over,
            "peak_live_bytes": one.trace.peak_live_bytes(),
            "file_bytes": one.bytes,
        })
    };
    json!({ "version": JSON_VERSION, "traces": listed.iter().map(one).collect::<Vec<_>>() })
}
