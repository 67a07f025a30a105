//! The files that a site is made of.
//!
//! | in | is |
//! |---|---|
//! | `bench` | what `cargo stress bench --format json` printed |
//! | `conform` | what `cargo stress conform --format json` printed |
//! | `stress` | what `cargo stress --record` wrote |
//!
//! Evidence of comparisons is read by `evidence`; a page in Markdown is taken as it is.

mod bench;
mod conform;
mod stress;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub use self::bench::{Bench, Cell, Mean, Percentiles, Row};
pub use self::conform::Conform;
pub use self::stress::{Run, Stress};
use crate::decide::Judged;
use crate::evidence::Evidence;

/// A file, and what it says.
pub struct Input {
    /// Its name, without the folders above it and without its extension.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// What it says.
    pub what: What,
}

/// What a file says.
pub enum What {
    /// Allocators beside each other.
    Bench(Bench),
    /// What allocators do at mistakes.
    Conform(Conform),
    /// Two commits.
    Comparison(Box<Judged>),
    /// A campaign of the stress tool.
    Stress(Stress),
    /// A page of text, such as the table of the zoo, in Markdown.
    Text(String),
}

/// What is taken, for a message.
const TAKEN: &str = "evidence of `compare`, a record of `cargo stress --record`, what `cargo \
                     stress bench` or `conform` printed with `--format json`, or a page in Markdown";

impl Input {
    /// Reads it, whatever it is.
    ///
    /// # Errors
    /// If it can't be read, or is none of those.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let what = what(path).with_context(|| shown.clone())?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, path: shown, what })
    }
}

fn what(path: &Path) -> Result<What> {
    if path.extension().is_some_and(|extension| extension == "md") {
        return Ok(What::Text(fs::read_to_string(path)?));
    }
    let text = fs::read_to_string(path)?;
    // A file of one document, or one of lines whose first says what it is.
    let whole: Option<Value> = serde_json::from_str(&text).ok();
    let first = text.lines().next().unwrap_or_default();
    let head: Option<Value> = whole.clone().or_else(|| serde_json::from_str(first).ok());
    let format = head.as_ref().and_then(|head| head["format"].as_str()).unwrap_or_default();
    match (format, whole) {
        ("drystone-bench-report", Some(whole)) => Ok(What::Bench(Bench::read(whole)?)),
        ("drystone-conform-report", Some(whole)) => Ok(What::Conform(Conform::read(&whole)?)),
        ("drystone-evidence", _) => {
            Ok(What::Comparison(Box::new(Judged::of(Evidence::read(path)?))))
        }
        ("drystone-stress-record", _) => Ok(What::Stress(Stress::read(&text)?)),
        ("", _) => bail!("is none of the files that a site is made of: give {TAKEN}"),
        (other, _) => bail!("is a `{other}`, of which a site tells nothing: give {TAKEN}"),
    }
}
