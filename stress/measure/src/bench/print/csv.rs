//! CSV, for spreadsheets and plots: a line for each figure of an allocator in a row.
//!
//! ```text
//! row,allocator,figure,unit,value
//! pair/16,drystone,time,ns,9.6
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use csv::Writer;
use tempfile::NamedTempFile;

use crate::bench::campaign::{Entry, Results, RowResults};
use crate::bench::probe::latency::{KINDS, Percentiles};
use crate::bench::probe::memory::Memory;

/// A file for every figure, which is there whole or not at all.
#[derive(Debug)]
pub struct Csv {
    path: PathBuf,
    file: NamedTempFile,
}

impl Csv {
    /// Makes room for it beside its place, before anything is measured.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
            .with_context(|| format!("--csv {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes it.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(self, results: &Results) -> Result<()> {
        let path = &self.path;
        let doing = || format!("writing {}", path.display());
        let mut out = Writer::from_writer(self.file);
        lines(results, &mut out).with_context(doing)?;
        let file = out.into_inner().map_err(|error| error.into_error()).with_context(doing)?;
        file.persist(path).with_context(doing)?;
        Ok(())
    }
}

fn lines<W: std::io::Write>(results: &Results, out: &mut Writer<W>) -> csv::Result<()> {
    out.write_record(["row", "allocator", "figure", "unit", "value"])?;
    let plan = &results.plan;
    for (row, measured) in plan.rows.iter().zip(&results.rows) {
        for (place, (allocator, entry)) in plan.allocators.iter().zip(&measured.entries).enumerate()
        {
            for (figure, unit, value) in figures(measured, entry, place) {
                let value = value.to_string();
                out.write_record([&row.name, &allocator.name, &figure, unit, &value])?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

/// An allocator's figures in a row, those that there are: name, unit, value.
fn figures(
    row: &RowResults,
    entry: &Entry,
    place: usize,
) -> impl Iterator<Item = (String, &'static str, f64)> {
    let memory = entry.memory();
    let bytes = |of: fn(Memory) -> u64| memory.map(|one| of(one) as f64);
    let plain = [
        ("time", "ns", row.nanoseconds(place)),
        ("calls per second", "1/s", entry.calls_per_second()),
        ("peak above floor", "KiB", row.peak(place)),
        ("faults", "1", row.faults(place)),
        ("involuntary switches", "1", entry.median(|sample| sample.switches as f64)),
        ("live", "B", bytes(|memory| memory.live)),
        ("resident for live", "B", bytes(|memory| memory.resident)),
        ("drained", "B", bytes(|memory| memory.drained)),
    ];
    let plain = plain.map(|(name, unit, value)| (name.to_owned(), unit, value));
    let kinds = KINDS.into_iter().zip(entry.latency());
    let calls = kinds.filter_map(|(kind, found)| Some((kind, found?))).flat_map(|(kind, found)| {
        let Percentiles { calls: _, p50, p99, p99_9, p99_99, max } = found;
        let named = [
            ("p50", Some(p50)),
            ("p99", p99),
            ("p99.9", p99_9),
            ("p99.99", p99_99),
            ("max", Some(max)),
        ];
        named.map(|(name, value)| (format!("{kind} {name}"), "ns", value.map(|ns| ns as f64)))
    });
    let all = plain.into_iter().chain(calls);
    all.filter_map(|(name, unit, value)| Some((name, unit, value?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::fixtures::{fail, results};

    #[test]
    fn each_figure_has_a_line_and_a_failure_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figures.csv");
        let mut results = results(9.5, &[("mimalloc", 10.0)]);
        fail(&mut results, 0, 1);
        Csv::open(&path).unwrap().write(&results).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("row,allocator,figure,unit,value"));
        assert!(text.contains("\npair/16,drystone,time,ns,9.595\n"), "{text}");
        assert!(text.contains("\npair/16,drystone,malloc p99.9,ns,90\n"), "{text}");
        assert!(text.contains("\nchurn,mimalloc,drained,B,"), "{text}");
        assert!(!text.contains("pair/16,mimalloc"), "{text}");
        let nowhere = Csv::open(&folder.path().join("nowhere/x.csv")).unwrap_err();
        assert!(format!("{nowhere:#}").starts_with("--csv "), "{nowhere:#}");
    }
}
