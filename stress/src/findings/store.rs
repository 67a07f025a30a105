//! A finding's folder: how it is written, and how it is read back.
//!
//! | file | holds |
//! |---|---|
//! | `finding.json` | the finding, the run, the allocator's version, the command that replays it |
//! | `finding.txt` | the same for people |
//! | `episode.journal.zst` | every call up to the finding, see [`drystone_checker::journal`] |
//! | `history.txt` | what was done to the block, and what each worker did last |
//! | `backtrace.txt` | where the worker was, if that is known |
//!
//! A folder is written under another name and renamed, so one that is there is whole.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use drystone_checker::journal::Journal;
use serde::{Deserialize, Serialize};

use crate::allocators::version::Version;
use crate::findings::history;
use crate::model::finding::Finding;
use crate::model::injection::{Injection, InjectionPlan};
use crate::model::spec::Spec;

/// Where findings go unless another folder is named.
pub const DEFAULT: &str = "stress-findings";

const FORMAT: &str = "drystone-stress-finding";
const VERSION: u32 = 1;

const RECORD: &str = "finding.json";
const JOURNAL: &str = "episode.journal.zst";
/// What it was called before: folders of then are still read.
const JOURNAL_BEFORE: &str = "episode.log.zst";
const COMPRESSION: i32 = 3;

/// Most folders of one name: more of a kind tell nothing new.
const MOST: u32 = 1_000;

/// What `finding.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    format: String,
    version: u32,
    /// The version of the tool that wrote it.
    pub tool: String,
    /// The command that replays it.
    pub command: String,
    /// What was found.
    pub finding: Finding,
    /// The episode in which it was.
    pub spec: Spec,
    /// The allocator's version.
    #[serde(alias = "subject")]
    pub allocator: Version,
    /// Which calls to the OS were made to fail, if any were.
    #[serde(default, alias = "refused")]
    pub injection: Option<Injection>,
    /// Whether the journal holds every call, so that its order can be repeated.
    #[serde(alias = "log_is_whole")]
    pub journal_is_whole: bool,
    /// Calls in the journal.
    pub calls: usize,
    /// Whether the journal is a script that was made smaller, which no seed makes.
    #[serde(default)]
    pub is_a_script: bool,
}

/// The beginning of any version's record.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl Record {
    /// A record of `finding` in the episode `spec`.
    pub fn new(finding: Finding, spec: Spec, allocator: Version) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            command: String::new(),
            finding,
            spec,
            allocator,
            injection: None,
            journal_is_whole: false,
            calls: 0,
            is_a_script: false,
        }
    }

    /// The record of a scenario under failing calls to the OS.
    #[must_use]
    pub fn under(self, injection: Injection) -> Self {
        Self { injection: Some(injection), ..self }
    }

    /// The record of a script that no seed makes.
    #[must_use]
    pub fn of_a_script(self) -> Self {
        Self { is_a_script: true, ..self }
    }
}

/// Writes a folder for the finding below `directory`; returns the finding with its folder's name.
///
/// # Errors
/// The folder can't be written.
pub fn keep(directory: &Path, record: Record, journal: &Journal) -> Result<Finding> {
    fs::create_dir_all(directory)
        .with_context(|| format!("the folder for findings, {}", directory.display()))?;
    let name = name(&record);
    for number in 1..=MOST {
        let name = if number == 1 { name.clone() } else { format!("{name}-{number}") };
        let folder = directory.join(&name);
        if folder.exists() {
            continue;
        }
        return write(&folder, record, journal)
            .with_context(|| format!("writing the finding to {}", folder.display()));
    }
    bail!("{} holds {MOST} findings named {name}: move them away", directory.display())
}

/// Writes one folder, which must not be there yet.
///
/// # Errors
/// It can't be written.
pub fn write(folder: &Path, mut record: Record, journal: &Journal) -> Result<Finding> {
    let entries = journal.entries();
    record.journal_is_whole = record.spec.workload.is_its_calls() && journal.whole(&entries);
    record.calls = entries.len();
    record.finding.folder = Some(folder.to_owned());
    record.command = record.finding.replay();
    let partial = partial(folder);
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(&partial)?,
    }
    let mut json = serde_json::to_string_pretty(&record)?;
    json.push('\n');
    fs::write(partial.join(RECORD), json)?;
    let about = format!("{}\n  allocator {}\n", record.finding, record.allocator);
    fs::write(partial.join("finding.txt"), about)?;
    let compressed = zstd::encode_all(journal.to_bytes().as_slice(), COMPRESSION)?;
    fs::write(partial.join(JOURNAL), compressed)?;
    fs::write(partial.join("history.txt"), history::of(&entries, &record.finding))?;
    if let Some(backtrace) = &record.finding.backtrace {
        fs::write(partial.join("backtrace.txt"), backtrace)?;
    }
    fs::rename(&partial, folder)?;
    Ok(record.finding)
}

/// Where a folder is while it is written.
fn partial(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    folder.with_file_name(format!(".{name}.partial"))
}

/// Allocator, workload, kind and seed, of which file names are made everywhere.
fn name(record: &Record) -> String {
    let Record { spec, finding, .. } = record;
    let allocator = Path::new(&spec.allocator).file_name().unwrap_or_default().to_string_lossy();
    let kind = serde_json::to_value(finding.kind).ok();
    let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or("finding").to_owned();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let work = match record.injection.map(|injection| injection.plan) {
        None => spec.workload.to_string(),
        Some(InjectionPlan::Once(call)) => format!("failed-call-{call}"),
        Some(InjectionPlan::AddressSpace(_)) => "little-space".to_owned(),
        Some(_) => "failed-calls".to_owned(),
    };
    format!("{allocator}-{work}-{kind}-{}", spec.seed).chars().map(plain).collect()
}

/// Reads a folder back.
///
/// # Errors
/// It is no finding's folder, or one of another version.
pub fn read(folder: &Path) -> Result<(Record, Journal)> {
    let path = folder.join(RECORD);
    let text = fs::read_to_string(&path).with_context(|| {
        format!("{}: give the folder of a finding, which holds {RECORD}", folder.display())
    })?;
    let head: Head = serde_json::from_str(&text)
        .with_context(|| format!("{} is no finding's record", path.display()))?;
    if head.format != FORMAT {
        bail!("{} is a `{}`, and no finding: give a finding's folder", path.display(), head.format);
    }
    if head.version != VERSION {
        bail!(
            "{} is of version {}, and this tool reads {VERSION}: replay it with the tool that \
             wrote it",
            path.display(),
            head.version
        );
    }
    let record = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let before = folder.join(JOURNAL_BEFORE);
    let path = if before.exists() { before } else { folder.join(JOURNAL) };
    let journal = read_journal(&path).with_context(|| path.display().to_string())?;
    Ok((record, journal))
}

fn read_journal(path: &Path) -> Result<Journal> {
    let bytes = zstd::decode_all(io::BufReader::new(fs::File::open(path)?))?;
    Ok(Journal::from_bytes(&bytes)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use drystone_checker::journal::{Builder, Call};
    use drystone_checker::violation::Kind;
    use drystone_harness::seed::Seed;
    use serde_json::Value;

    use super::*;
    use crate::model::injection::By;
    use crate::model::spec::{Length, Workload};

    fn rename(object: &mut Value, before: &str, now: &str) {
        let object = object.as_object_mut().expect("an object");
        let value = object.remove(now).unwrap_or_else(|| panic!("no key {now}"));
        object.insert(before.to_owned(), value);
    }

    #[test]
    fn a_folder_with_the_names_of_before_is_read() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("finding");
        let spec = Spec::new("list", Workload::Mixed, 1, Seed(7), Length::Once);
        let mut finding = spec.finding(Duration::ZERO, Kind::Overlap, "none", "one".to_owned());
        finding.injected = Some("call 3".to_owned());
        let version = Version { name: "x".into(), file: "x".into(), sha256: "0".into() };
        let plan = InjectionPlan::Once(3);
        let record =
            Record::new(finding, spec, version).under(Injection { plan, by: By::FaultyOs });
        let mut journal = Builder::new(1);
        journal.push(0, 0, Call::Malloc { size: 8 });
        let journal = journal.finish();
        write(&folder, record, &journal).unwrap();
        let now = read(&folder).unwrap();
        // As it was written before the words changed.
        let path = folder.join(RECORD);
        let mut json: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for (before, now) in [
            ("subject", "allocator"),
            ("refused", "injection"),
            ("log_is_whole", "journal_is_whole"),
        ] {
            rename(&mut json, before, now);
        }
        rename(&mut json["finding"], "subject", "allocator");
        rename(&mut json["finding"], "refused", "injected");
        rename(&mut json["spec"], "subject", "allocator");
        json["spec"]["known"] = Value::Array(Vec::new());
        json["refused"]["by"] = "fake-os".into();
        fs::write(&path, json.to_string()).unwrap();
        fs::rename(folder.join(JOURNAL), folder.join(JOURNAL_BEFORE)).unwrap();
        let before = read(&folder).unwrap();
        assert_eq!(before.0, now.0);
        assert_eq!(before.1.to_bytes(), now.1.to_bytes());
    }
}
