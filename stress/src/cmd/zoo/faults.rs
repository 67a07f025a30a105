//! The faults as they are written down: `stress/zoo/faults/`, and the twins of the models.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A fault.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Its name.
    pub name: String,
    /// The file that it stands in, or `models`.
    pub layer: String,
    /// What it breaks.
    pub breaks: String,
    /// The check that is meant to find it.
    pub detector: String,
    /// The kinds of findings that name it rightly.
    pub named: Vec<String>,
    /// A real bug of its kind.
    pub real: Option<String>,
    /// Whether it shows from outside, so that the default run must find it, or `conform`.
    pub shows: bool,
    /// Whether `conform` alone can find it.
    pub by_conform: bool,
    /// What plants it; none for a twin, which the source has a place for.
    pub patch: Option<Patch>,
    /// The number that `zoo::active` takes.
    pub number: u32,
}

impl Fault {
    /// Whether it is in `ListHeap`, and hunted in the library that has that for its `malloc`.
    pub(super) fn is_of_the_list(&self) -> bool {
        self.layer == "list"
    }
}

/// One change of one file.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    /// Below the root.
    pub file: String,
    /// What stands there once.
    pub search: String,
    /// What stands there instead.
    pub replace: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fault: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    breaks: String,
    detector: String,
    named: Vec<String>,
    real: Option<String>,
    #[serde(default = "yes")]
    shows: bool,
    #[serde(default)]
    by_conform: bool,
    file: String,
    search: String,
    replace: String,
}

fn yes() -> bool {
    true
}

/// The first number of a twin; below are those that are written down.
const TWINS: u32 = 1_000;
/// Where the twins are named.
pub(super) const TWINS_FILE: &str = "src/sync/fault.rs";
/// What a twin that is found is found by.
const OF_TWINS: [&str; 9] = [
    "double free missed",
    "misuse missed",
    "wrong report",
    "overlap",
    "identity",
    "crash",
    "false alarm",
    "memory not given back",
    "growing memory",
];
/// Twins that show on this processor: the others weaken an order that it keeps anyhow, or lose a
/// race of two instructions, which loom explores.
const SHOWN: [&str; 2] = ["PopBlind", "MarkUnflagged"];

/// All of them, those that are written down first.
///
/// # Errors
/// One is written down wrongly, or two have one name.
pub(super) fn read(root: &Path) -> Result<Vec<Fault>> {
    let folder = root.join("stress/zoo/faults");
    let mut files = Vec::new();
    files_of(&folder, &mut files).with_context(|| folder.display().to_string())?;
    files.sort();
    let mut faults: Vec<Fault> = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|ext| ext == "toml")) {
        let text = fs::read_to_string(path)?;
        let file: File = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let layer = path.file_stem().unwrap_or_default().to_string_lossy();
        for written in file.fault {
            let number = faults.len() as u32 + 1;
            faults.push(of(written, &layer, number));
        }
    }
    faults.extend(twins(root)?);
    for (index, fault) in faults.iter().enumerate() {
        if faults[..index].iter().any(|other| other.name == fault.name) {
            bail!("two faults are named {}: give one another name", fault.name);
        }
    }
    Ok(faults)
}

/// All files of a folder, and of those in it.
fn files_of(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => files_of(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

fn of(written: Written, layer: &str, number: u32) -> Fault {
    let Written { name, breaks, detector, named, real, shows, by_conform, .. } = written;
    let Written { file, search, replace, .. } = written;
    let (layer, patch) = (layer.to_owned(), Some(Patch { file, search, replace }));
    Fault { name, layer, breaks, detector, named, real, shows, by_conform, patch, number }
}

/// The faults that the loom models plant: the variants of an enumeration, each with a line of
/// documentation.
fn twins(root: &Path) -> Result<Vec<Fault>> {
    let text = fs::read_to_string(root.join(TWINS_FILE)).context(TWINS_FILE)?;
    let from =
        text.find("pub enum Fault {").with_context(|| format!("{TWINS_FILE}: no enum Fault"))?;
    let body = &text[from..];
    let body = &body[..body.find("\n}").unwrap_or(body.len())];
    let (mut twins, mut about) = (Vec::new(), String::new());
    let mut value = 0;
    for line in body.lines().map(str::trim) {
        if let Some(said) = line.strip_prefix("/// ") {
            about = format!("{about} {said}").trim().to_owned();
            continue;
        }
        let Some(variant) = line.strip_suffix(',') else { continue };
        let (variant, set) = match variant.split_once('=') {
            Some((variant, number)) => (variant.trim(), number.trim().parse().ok()),
            None => (variant, None),
        };
        if variant.is_empty() || !variant.chars().all(char::is_alphanumeric) {
            continue;
        }
        value = set.unwrap_or(value);
        if variant == "None" {
            value += 1;
            continue;
        }
        twins.push(Fault {
            name: format!("twin-{variant}"),
            layer: "models".to_owned(),
            breaks: std::mem::take(&mut about),
            detector: "the loom model that has it for a twin".to_owned(),
            named: OF_TWINS.map(str::to_owned).to_vec(),
            real: None,
            shows: SHOWN.contains(&variant),
            by_conform: false,
            patch: None,
            number: TWINS + value,
        });
        value += 1;
    }
    Ok(twins)
}
