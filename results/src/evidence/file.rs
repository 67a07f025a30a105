//! The file: appended to line by line, read as a whole.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::header::{FORMAT, Header, VERSION};
use super::line::Line;

/// A file of evidence, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The first line.
    pub header: Header,
    /// The others, in order.
    pub lines: Vec<Line>,
}

/// A file of evidence that grows.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
}

impl Writer {
    /// Begins a file. It must not be there yet.
    ///
    /// # Errors
    /// If it is, or cannot be made.
    pub fn create(path: &Path, header: &Header) -> Result<Self> {
        let shown = path.display();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let file = File::options().append(true).create_new(true).open(path);
        let file = file.with_context(|| format!("cannot begin {shown}"))?;
        let mut writer = Self { path: path.to_owned(), file };
        writer.put(&serde_json::to_string(header)?)?;
        Ok(writer)
    }

    /// Appends a line.
    ///
    /// # Errors
    /// If the disk is full, or the file has gone.
    pub fn append(&mut self, line: &Line) -> Result<()> {
        self.put(&serde_json::to_string(line)?)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One `write`, so that a kill leaves a line whole or cut, never two of them mixed.
    fn put(&mut self, text: &str) -> Result<()> {
        self.file
            .write_all(format!("{text}\n").as_bytes())
            .with_context(|| format!("cannot write to {}", self.path.display()))
    }
}

impl Evidence {
    /// Reads a file. A last line without its newline was being written when the program was killed,
    /// and is passed over.
    ///
    /// # Errors
    /// If it cannot be read, is no evidence, is of another version, or a whole line of it is
    /// damaged.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        Self::parse(&text).with_context(|| format!("{shown} cannot be used"))
    }

    /// Reads a file's text, as [`read`](Self::read) does.
    ///
    /// # Errors
    /// As there.
    pub fn parse(text: &str) -> Result<Self> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines().enumerate();
        let (_, first) = lines.next().context("it has no header line: it is empty, or cut off")?;
        let header = Self::header(first)?;
        let lines = lines
            .map(|(at, line)| {
                serde_json::from_str(line).with_context(|| format!("line {} is damaged", at + 1))
            })
            .collect::<Result<_>>()?;
        Ok(Self { header, lines })
    }

    /// The version is looked at first: fields of another version need not be known.
    fn header(line: &str) -> Result<Header> {
        let value: serde_json::Value =
            serde_json::from_str(line).context("its first line is no JSON")?;
        ensure!(value["format"] == FORMAT, "it is not a file of `{FORMAT}`");
        ensure!(
            value["version"] == VERSION,
            "it is of version {}, and this program reads version {VERSION}: compare again, or use \
             the program that wrote it",
            value["version"]
        );
        serde_json::from_value(value).context("its header is damaged")
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{header, process};
    use super::*;

    fn written() -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/evidence.jsonl");
        let mut writer = Writer::create(&path, &header(&["pair/64"])).unwrap();
        for number in 1..=3 {
            writer.append(&Line::Process(process(number, &[("pair/64", 0.01)]))).unwrap();
        }
        assert!(Writer::create(&path, &header(&["pair/64"])).is_err(), "overwritten");
        std::fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn evidence_is_read_back_as_it_was_written() {
        let read = Evidence::parse(&written()).unwrap();
        assert_eq!(read.header, header(&["pair/64"]));
        let expected = (1..=3).map(|n| Line::Process(process(n, &[("pair/64", 0.01)])));
        assert_eq!(read.lines, expected.collect::<Vec<_>>());
    }

    /// Files from before there were libraries besides are read, and such headers are written still.
    #[test]
    fn a_comparison_of_the_sides_alone_says_nothing_of_libraries_besides() {
        let text = written();
        assert!(!text.contains("\"also\"") && !text.contains("\"identical\""), "{text}");
    }

    /// A kill at any byte: what was whole is there, what was not is passed over.
    #[test]
    fn a_kill_loses_one_line_at_most() {
        let text = written();
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
        for cut in ends[0] + 1..=text.len() {
            let read = Evidence::parse(&text[..cut]).unwrap();
            let whole = ends.iter().filter(|&&end| end < cut).count() - 1;
            assert_eq!(read.lines.len(), whole, "cut after {cut} bytes");
        }
        assert!(Evidence::parse(&text[..ends[0]]).is_err());
    }

    #[test]
    fn damage_another_version_and_other_files_are_rejected_by_name() {
        let said = |text: &str| format!("{:#}", Evidence::parse(text).unwrap_err());
        let text = written();
        assert!(said(&text.replacen("\"version\":1", "\"version\":9", 1)).contains("version 9"));
        assert!(said(&text.replacen(FORMAT, "other", 1)).contains("is not a file of"));
        assert!(said(&text.replacen("\"number\":2", "\"number\":-2", 1)).contains("line 3"));
        assert!(said("").contains("no header"));
    }

    #[test]
    fn shards_of_one_comparison_have_the_same_comparison() {
        let mut other = header(&["pair/64"]);
        other.seed += 1;
        other.started = "2027-01-01T00:00:00Z".to_owned();
        assert_eq!(header(&["pair/64"]).comparison(), other.comparison());
        other.b.artifact.push('0');
        assert_ne!(header(&["pair/64"]).comparison(), other.comparison());
    }
}
