//! The shards of one comparison as one piece of evidence.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::file::Evidence;
use super::line::{End, Ended, Line, Process};

impl Evidence {
    /// Reads the shards of one comparison, and joins them.
    ///
    /// # Errors
    /// As [`Evidence::read`] and [`Evidence::join`].
    pub fn read_all(files: &[PathBuf]) -> Result<Self> {
        let read = |path: &PathBuf| Ok((path.display().to_string(), Self::read(path)?));
        Self::join(files.iter().map(read).collect::<Result<_>>()?)
    }

    /// The processes of the time lane, in order.
    pub fn processes(&self) -> Vec<Process> {
        let process = |line: &Line| match line {
            Line::Process(process) => Some(process.clone()),
            _ => None,
        };
        self.lines.iter().filter_map(process).collect()
    }

    /// Joins shards, in this order: the first one's header, all lines, and one end.
    ///
    /// # Errors
    /// If there is none, two are of different comparisons, or two have one seed: then their layouts
    /// are the same, and they say nothing together that one of them does not say alone.
    pub fn join(shards: Vec<(String, Self)>) -> Result<Self> {
        let mut seeds = BTreeSet::new();
        for (name, shard) in &shards {
            let (first, header) = (&shards[0], &shard.header);
            ensure!(
                header.comparison() == first.1.header.comparison(),
                "{name} is of another comparison than {}: {}; judge them one by one",
                first.0,
                differences(&first.1.header.comparison(), &header.comparison())
            );
            ensure!(
                seeds.insert(header.seed),
                "{name} has the seed {} of another file: give each shard a seed of its own",
                header.seed
            );
        }
        let mut shards = shards.into_iter().map(|(_, shard)| shard);
        let Some(first) = shards.next() else { anyhow::bail!("no file was given") };
        let mut ends = Vec::new();
        let mut joined = Self { header: first.header, lines: Vec::new() };
        for lines in std::iter::once(first.lines).chain(shards.map(|shard| shard.lines)) {
            let mut end = None;
            for line in lines {
                match line {
                    Line::End(how) => end = Some(how),
                    line => joined.lines.push(line),
                }
            }
            ends.push(end);
        }
        joined.lines.extend(end(&ends).map(Line::End));
        Ok(joined)
    }
}

/// One end for all: the worst reason, the longest time, all failures. None if a shard was cut off.
fn end(ends: &[Option<End>]) -> Option<End> {
    let ends: Option<Vec<&End>> = ends.iter().map(Option::as_ref).collect();
    let ends = ends?;
    let order = [
        Ended::Failed,
        Ended::Vetoed,
        Ended::Interrupted,
        Ended::Budget,
        Ended::Decided,
        Ended::Identical,
    ];
    let why = order.into_iter().find(|why| ends.iter().any(|end| end.why == *why))?;
    let at_s = ends.iter().map(|end| end.at_s).fold(0.0, f64::max);
    Some(End { why, at_s, failed: ends.iter().map(|end| end.failed).sum() })
}

/// The top fields in which two headers differ.
fn differences(a: &str, b: &str) -> String {
    let value = |text: &str| serde_json::from_str(text).unwrap_or(serde_json::Value::Null);
    let (a, b) = (value(a), value(b));
    let Some(fields) = a.as_object() else { return "its header".to_owned() };
    let fields = fields.iter().filter(|(name, value)| b[name.as_str()] != **value);
    let names: Vec<&str> = fields.map(|(name, _)| name.as_str()).collect();
    format!("they differ in {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{header, process};
    use super::*;

    fn shard(seed: u64, why: Option<Ended>) -> (String, Evidence) {
        let mut header = header(&["pair/64"]);
        header.seed = seed;
        let mut lines = vec![Line::Process(process(1, &[("pair/64", 0.01)]))];
        lines.extend(why.map(|why| Line::End(End { why, at_s: seed as f64, failed: 1 })));
        (format!("shard-{seed}"), Evidence { header, lines })
    }

    #[test]
    fn shards_join_to_all_lines_and_one_end() {
        let joined = Evidence::join(vec![
            shard(3, Some(Ended::Decided)),
            shard(9, Some(Ended::Budget)),
            shard(5, Some(Ended::Decided)),
        ]);
        let joined = joined.unwrap();
        assert_eq!((joined.header.seed, joined.lines.len()), (3, 4));
        let end = End { why: Ended::Budget, at_s: 9.0, failed: 3 };
        assert_eq!(joined.lines[3], Line::End(end));
        let cut = Evidence::join(vec![shard(1, Some(Ended::Decided)), shard(2, None)]).unwrap();
        assert_eq!(cut.lines.len(), 2, "a shard that was cut off has no end");
    }

    #[test]
    fn what_does_not_belong_together_is_rejected() {
        let said = |shards| format!("{:#}", Evidence::join(shards).unwrap_err());
        let same = said(vec![shard(1, None), shard(1, None)]);
        assert!(same.contains("a seed of its own"), "{same}");
        let mut other = shard(2, None);
        other.1.header.b.artifact = "0".to_owned();
        let other = said(vec![shard(1, None), other]);
        assert!(other.contains("they differ in b"), "{other}");
    }
}
