//! What `cargo stress conform` says of double frees.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// How often each allocator reports a double free.
#[derive(Debug)]
pub struct Conform {
    /// By the allocator's name: how many were reported, of how many that were made.
    pub reports: BTreeMap<String, (usize, usize)>,
}

/// How a mistake ends that could not be made.
const NOT_MADE: [&str; 4] = ["not-made", "not-offered", "cannot-tell", "set-up"];

impl Conform {
    /// Reads a report.
    ///
    /// # Errors
    /// If it names no allocators or mistakes.
    pub fn read(value: &Value) -> Result<Self> {
        let list = |value: &Value, key: &str, old: &str| -> Result<Vec<Value>> {
            let found = value[key].as_array().or_else(|| value[old].as_array());
            found.cloned().with_context(|| format!("has no list of {key}"))
        };
        let allocators = list(value, "allocators", "subjects")?;
        let mut reports: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for mistake in list(value, "mistakes", "mistakes")? {
            // As the README counts: every way to free twice, a realloc of what was freed too.
            let twice =
                |name: &str| name.starts_with("double-free") || name == "realloc-after-free";
            if !mistake["mistake"].as_str().is_some_and(twice) {
                continue;
            }
            let entries = list(&mistake, "allocators", "subjects")?;
            ensure!(entries.len() == allocators.len(), "has a mistake without all allocators");
            for (allocator, entry) in allocators.iter().zip(&entries) {
                let Some(end) = entry["score"]["end"].as_str() else { continue };
                if NOT_MADE.contains(&end) {
                    continue;
                }
                let name = allocator["name"].as_str().unwrap_or_default().to_owned();
                let (reported, made) = reports.entry(name).or_default();
                *reported += usize::from(end == "reported");
                *made += 1;
            }
        }
        Ok(Self { reports })
    }

    /// In a word, for an allocator that was judged.
    pub fn word(&self, allocator: &str) -> Option<&'static str> {
        let (reported, made) = self.reports.get(allocator)?;
        Some(match *reported {
            0 => "never",
            all if all == *made => "always",
            _ => "sometimes",
        })
    }
}
