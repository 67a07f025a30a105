//! The record of a campaign: a file of lines of JSON, each written when what it says has happened,
//! so that a run that is killed has left what it had done.
//!
//! | line | says |
//! |---|---|
//! | `begin` | format, version, the seed, the shard, all planned runs |
//! | `sample` | a run at one moment: [`Sample`] |
//! | `end` | what became of a run: [`Outcome`] |
//! | `failed` | a run could not be made, or did nothing |
//! | `done` | the campaign has come to its end, or was stopped |
//!
//! A run has two thousand samples at most, so a record's size is bounded by the plan. A reader
//! rejects versions that it does not know, and takes a last line that is cut off for not written.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use drystone_harness::seed::Seed;
use serde::{Deserialize, Serialize};

use crate::model::outcome::Outcome;
use crate::model::sample::Sample;
use crate::model::shard::Shard;
use crate::model::spec::Spec;

const FORMAT: &str = "drystone-stress-record";
const VERSION: u32 = 1;

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "line")]
pub enum Line {
    /// The campaign begins.
    Begin(Begin),
    /// A run at one moment.
    Sample {
        /// Which of the planned runs, from 0.
        run: usize,
        /// What was seen.
        sample: Sample,
    },
    /// A run has ended.
    End {
        /// Which one.
        run: usize,
        /// What became of it.
        outcome: Box<Outcome>,
    },
    /// A run could not be made, or did nothing.
    Failed {
        /// Which one; none if it is the campaign as a whole.
        run: Option<usize>,
        /// One sentence.
        why: String,
    },
    /// The campaign is over.
    Done {
        /// Whether it was stopped before all runs had come to their end.
        interrupted: bool,
        /// How long it took.
        seconds: f64,
    },
}

/// What a campaign was to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    format: String,
    version: u32,
    /// The version of the tool.
    pub tool: String,
    /// The campaign's seed, the same for all shards.
    pub seed: Seed,
    /// Which part of it this is.
    pub shard: Option<Shard>,
    /// Worker threads, where a run does not say otherwise.
    pub threads: usize,
    /// All planned runs.
    pub runs: Vec<Spec>,
}

impl Begin {
    /// The first line for these runs.
    pub fn new(seed: Seed, shard: Option<Shard>, threads: usize, runs: &[Spec]) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            seed,
            shard,
            threads,
            runs: runs.to_vec(),
        }
    }
}

/// A record that is being written. The first error is kept, and returned at the end: a campaign of
/// hours goes on.
#[derive(Debug)]
pub struct Writer {
    file: Option<File>,
    error: Option<std::io::Error>,
}

impl Writer {
    /// Begins a record at `path`, where no file may be yet; nowhere if there is no path.
    ///
    /// # Errors
    /// It can't be made.
    pub fn begin(path: Option<&Path>, begin: Begin) -> Result<Self> {
        let Some(path) = path else { return Ok(Self { file: None, error: None }) };
        let file = File::create_new(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                anyhow!("--record {}: the file is there already: name another", path.display())
            }
            _ => anyhow!("--record {}: {error}", path.display()),
        })?;
        let mut writer = Self { file: Some(file), error: None };
        writer.write(&Line::Begin(begin));
        Ok(writer)
    }

    /// Writes a line, at once and whole.
    pub fn write(&mut self, line: &Line) {
        let Some(file) = &mut self.file else { return };
        let mut text = serde_json::to_vec(line).expect("all keys are strings");
        text.push(b'\n');
        if let Err(error) = file.write_all(&text) {
            self.error.get_or_insert(error);
        }
    }

    /// The first error, if there was one.
    pub fn finish(self) -> Option<String> {
        self.error.map(|error| format!("the record is not whole: {error}"))
    }
}

/// A record that was read.
#[derive(Debug)]
pub struct Record {
    /// What was to be done.
    pub begin: Begin,
    /// The runs that ended.
    pub outcomes: Vec<Outcome>,
    /// What went wrong.
    pub failures: Vec<String>,
    /// The last sample of a run that has no end.
    pub unfinished: Option<(usize, Sample)>,
    /// Whether the campaign came to an end of its own, and whether that was before all runs had.
    pub done: Option<bool>,
    /// Wall-clock seconds: of the campaign, or as far as it is known.
    pub seconds: f64,
}

/// The beginning of any version's record.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// It can't be read, is no record, or of a version that is not known.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{}", path.display()))
    }

    /// Reads a record's text.
    ///
    /// # Errors
    /// It is no record, or of a version that is not known.
    pub fn parse(text: &str) -> Result<Self> {
        // What is not ended by a line's end was cut off.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines();
        let first = lines.next().unwrap_or_default();
        match serde_json::from_str::<Head>(first) {
            Ok(head) if head.format == FORMAT && head.version == VERSION => {}
            Ok(head) if head.format == FORMAT => bail!(
                "a record of version {}, and this tool reads version {VERSION}: use the tool that \
                 wrote it",
                head.version
            ),
            _ => bail!("no record of cargo stress --record"),
        }
        let Line::Begin(begin) = serde_json::from_str(first).context("the first line")? else {
            bail!("no record of cargo stress --record: it does not begin")
        };
        let mut record = Self {
            begin,
            outcomes: Vec::new(),
            failures: Vec::new(),
            unfinished: None,
            done: None,
            seconds: 0.0,
        };
        for (index, line) in lines.enumerate() {
            let line = serde_json::from_str(line).with_context(|| format!("line {}", index + 2))?;
            record.take(line).with_context(|| format!("line {}", index + 2))?;
        }
        Ok(record)
    }

    fn take(&mut self, line: Line) -> Result<()> {
        match line {
            Line::Begin(_) => bail!("a second beginning: these are two records in one file"),
            Line::Sample { run, sample } => {
                self.unfinished = Some((run, sample));
            }
            Line::End { outcome, .. } => {
                self.unfinished = None;
                self.seconds += outcome.elapsed.as_secs_f64();
                self.outcomes.push(*outcome);
            }
            Line::Failed { run, why } => {
                // It is under way no more.
                self.unfinished.take_if(|(number, _)| run == Some(*number));
                self.failures.push(why);
            }
            Line::Done { interrupted, seconds } => {
                (self.done, self.seconds) = (Some(interrupted), seconds);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::{Length, Workload};

    fn begin() -> Begin {
        let spec = Spec::new("list", Workload::Mixed, 2, Seed(1), Length::Millis(5));
        Begin::new(Seed(7), Some(Shard { number: 1, of: 2 }), 2, &[spec])
    }

    fn text(lines: &[Line]) -> String {
        lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect()
    }

    #[test]
    fn a_record_that_was_cut_off_tells_what_was_done() {
        let sample = Sample { operations: 99, ..Sample::default() };
        let lines = [Line::Begin(begin()), Line::Sample { run: 0, sample }];
        let cut = text(&lines) + "{\"line\":\"sample\",\"run\":0,\"sam";
        let record = Record::parse(&cut).unwrap();
        assert_eq!(record.begin, begin());
        assert_eq!(record.unfinished, Some((0, sample)));
        assert_eq!(record.done, None);
    }

    #[test]
    fn a_run_that_failed_is_not_under_way() {
        let sample = Line::Sample { run: 0, sample: Sample::default() };
        let failed = |run| Line::Failed { run, why: "no thread".to_owned() };
        let mut lines = vec![Line::Begin(begin()), sample, failed(None), failed(Some(1))];
        assert!(Record::parse(&text(&lines)).unwrap().unfinished.is_some());
        lines.push(failed(Some(0)));
        let record = Record::parse(&text(&lines)).unwrap();
        assert_eq!((record.unfinished, record.failures.len()), (None, 3));
    }

    #[test]
    fn what_is_no_record_or_of_another_version_is_rejected() {
        let rejected = |text: &str| format!("{:#}", Record::parse(text).unwrap_err());
        assert!(rejected("").contains("no record"));
        assert!(rejected("{\"seed\":1}\n").contains("no record"));
        let newer = text(&[Line::Begin(begin())]).replace("\"version\":1", "\"version\":2");
        assert!(rejected(&newer).contains("version 2, and this tool reads version 1"));
        let broken = text(&[Line::Begin(begin())]) + "what\n";
        assert!(rejected(&broken).contains("line 2"));
        let twice = text(&[Line::Begin(begin()), Line::Begin(begin())]);
        assert!(rejected(&twice).contains("line 2: a second beginning"), "{}", rejected(&twice));
    }
}
