//! A record of the stress tool.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// A campaign.
#[derive(Debug)]
pub struct Stress {
    /// Its seed.
    pub seed: String,
    /// Whether it came to its end.
    pub done: bool,
    /// Its runs.
    pub runs: Vec<Run>,
}

/// A run of a workload on an allocator.
#[derive(Debug)]
pub struct Run {
    /// The allocator.
    pub allocator: String,
    /// The workload.
    pub workload: String,
    /// Worker threads.
    pub threads: u64,
    /// Seconds that it took; none if it has not ended.
    pub seconds: Option<f64>,
    /// Operations.
    pub operations: u64,
    /// What was found, a line each.
    pub findings: Vec<String>,
    /// Seconds, live bytes, resident bytes: the run's course.
    pub memory: Vec<[f64; 3]>,
}

impl Stress {
    /// Reads a record; a last line that is cut off was not written.
    ///
    /// # Errors
    /// If it does not begin as a record does, or names a run that was not planned.
    pub fn read(text: &str) -> Result<Self> {
        let mut lines = parsed(text)?.into_iter();
        let begin = lines.next().context("is empty")?;
        let specs = begin["runs"].as_array().context("names no runs")?;
        let seed = match &begin["seed"] {
            Value::String(seed) => seed.clone(),
            other => other.to_string(),
        };
        let mut stress = Self { seed, done: false, runs: specs.iter().map(Run::planned).collect() };
        for line in lines {
            if line["line"] == "done" {
                stress.done = line["interrupted"] == false;
            }
            let Some(number) = line["run"].as_u64() else { continue };
            let planned = stress.runs.len();
            let run = stress.runs.get_mut(number as usize);
            let run = run.with_context(|| format!("tells of run {number}, of {planned}"))?;
            run.add(&line);
        }
        ensure!(!stress.runs.is_empty(), "plans no run");
        Ok(stress)
    }
}

/// The record's lines. The last may be cut off, by a machine that went down.
fn parsed(text: &str) -> Result<Vec<Value>> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        match serde_json::from_str(line) {
            Ok(value) => lines.push(value),
            Err(_) if !text.ends_with('\n') && text.ends_with(line) => {}
            Err(why) => bail!("line {}: {why}", number + 1),
        }
    }
    Ok(lines)
}

impl Run {
    fn planned(spec: &Value) -> Self {
        let text = |key: &str| spec[key].as_str().map(str::to_owned);
        Self {
            allocator: text("allocator").or_else(|| text("subject")).unwrap_or_default(),
            workload: text("workload").unwrap_or_default(),
            threads: spec["threads"].as_u64().unwrap_or(0),
            seconds: None,
            operations: 0,
            findings: Vec::new(),
            memory: Vec::new(),
        }
    }

    fn add(&mut self, line: &Value) {
        let number = |value: &Value| value.as_f64().unwrap_or(0.0);
        match line["line"].as_str() {
            Some("sample") => {
                let sample = &line["sample"];
                self.operations = sample["operations"].as_u64().unwrap_or(self.operations);
                let keys = ["seconds", "live_bytes", "resident_bytes"];
                self.memory.push(keys.map(|key| number(&sample[key])));
            }
            Some("end") => {
                let outcome = &line["outcome"];
                let elapsed = &outcome["elapsed"];
                self.seconds = Some(number(&elapsed["secs"]) + number(&elapsed["nanos"]) / 1e9);
                let found = [&outcome["finding"]].into_iter().filter(|one| !one.is_null());
                let more = outcome["more"].as_array().into_iter().flatten();
                self.findings.extend(found.chain(more).map(finding));
            }
            Some("failed") => self.findings.push(line["why"].as_str().unwrap_or("").to_owned()),
            _ => {}
        }
    }
}

/// A finding in a line.
fn finding(finding: &Value) -> String {
    let text = |key: &str| finding[key].as_str().unwrap_or_default();
    format!("{}: expected {}; seen: {}", text("kind"), text("expected"), text("seen"))
}
