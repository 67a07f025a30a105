//! A finding's folder: how it is written, and how it is read back.
//!
//! | file | holds |
//! |---|---|
//! | `finding.json` | the finding, the run, the subject's version, the command that replays it |
//! | `finding.txt` | the same for people |
//! | `episode.log.zst` | every call up to the finding; see [`log`](drystone_checker::journal) |
//! | `history.txt` | what was done to the block, and what each worker did last |
//! | `backtrace.txt` | where the worker was, if that is known |
//!
//! A folder is written under another name and renamed, so one that is there is whole.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use drystone_checker::journal::Log;
use serde::{Deserialize, Serialize};

use crate::allocators::version::Version;
use crate::findings::history;
use crate::model::finding::Finding;
use crate::model::injection::{Plan, Refused};
use crate::model::spec::Spec;

/// Where findings go unless another folder is named.
pub const DEFAULT: &str = "target/stress-findings";

const FORMAT: &str = "drystone-stress-finding";
const VERSION: u32 = 1;

const RECORD: &str = "finding.json";
const LOG: &str = "episode.log.zst";
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
    /// The subject's version.
    pub subject: Version,
    /// Which calls to the OS were refused, if any were.
    #[serde(default)]
    pub refused: Option<Refused>,
    /// Whether the log holds every call, so that its order can be repeated.
    pub log_is_whole: bool,
    /// Calls in the log.
    pub calls: usize,
    /// Whether the log is a script that was made smaller, which no seed makes.
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
    pub fn new(finding: Finding, spec: Spec, subject: Version) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            command: String::new(),
            finding,
            spec,
            subject,
            refused: None,
            log_is_whole: false,
            calls: 0,
            is_a_script: false,
        }
    }

    /// The record of a scenario under refusals.
    #[must_use]
    pub fn under(self, refused: Refused) -> Self {
        Self { refused: Some(refused), ..self }
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
pub fn keep(directory: &Path, record: Record, log: &Log) -> Result<Finding> {
    fs::create_dir_all(directory)
        .with_context(|| format!("the folder for findings, {}", directory.display()))?;
    let name = name(&record);
    for number in 1..=MOST {
        let name = if number == 1 { name.clone() } else { format!("{name}-{number}") };
        let folder = directory.join(&name);
        if folder.exists() {
            continue;
        }
        return write(&folder, record, log)
            .with_context(|| format!("writing the finding to {}", folder.display()));
    }
    bail!("{} holds {MOST} findings named {name}: move them away", directory.display())
}

/// Writes one folder, which must not be there yet.
///
/// # Errors
/// It can't be written.
pub fn write(folder: &Path, mut record: Record, log: &Log) -> Result<Finding> {
    let entries = log.entries();
    record.log_is_whole = record.spec.workload.is_its_calls() && log.whole(&entries);
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
    let about = format!("{}\n  subject   {}\n", record.finding, record.subject);
    fs::write(partial.join("finding.txt"), about)?;
    let compressed = zstd::encode_all(log.to_bytes().as_slice(), COMPRESSION)?;
    fs::write(partial.join(LOG), compressed)?;
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

/// Subject, workload, kind and seed, of which file names are made everywhere.
fn name(record: &Record) -> String {
    let Record { spec, finding, .. } = record;
    let subject = Path::new(&spec.subject).file_name().unwrap_or_default().to_string_lossy();
    let kind = serde_json::to_value(finding.kind).ok();
    let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or("finding").to_owned();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let work = match record.refused.map(|refused| refused.plan) {
        None => spec.workload.to_string(),
        Some(Plan::Once(call)) => format!("refused-call-{call}"),
        Some(Plan::AddressSpace(_)) => "refused-space".to_owned(),
        Some(_) => "refused".to_owned(),
    };
    format!("{subject}-{work}-{kind}-{}", spec.seed).chars().map(plain).collect()
}

/// Reads a folder back.
///
/// # Errors
/// It is no finding's folder, or one of another version.
pub fn read(folder: &Path) -> Result<(Record, Log)> {
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
            "{} is of version {}, and this tool reads {VERSION}: replay it with the tool that wrote it",
            path.display(),
            head.version
        );
    }
    let record = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let path = folder.join(LOG);
    let log = read_log(&path).with_context(|| path.display().to_string())?;
    Ok((record, log))
}

fn read_log(path: &Path) -> Result<Log> {
    let bytes = zstd::decode_all(io::BufReader::new(fs::File::open(path)?))?;
    Log::from_bytes(&bytes).map_err(anyhow::Error::msg)
}
