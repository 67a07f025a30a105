//! Each ordering and each fence of the engine is held by a model, or a sentence says why not.
//!
//! `orderings.txt` has a row for each: the file, the code of the line, which of the lines with that
//! code, and what holds it:
//!
//! | held by | means |
//! |---|---|
//! | `twin FAULT` | a twin plants that fault, which relaxes it there |
//! | a model | the model fails when the ordering is relaxed there, or the fence left away |
//! | `light MODEL` | the same, without the fence of `Owner::at_mark`, which would hide it |
//! | `- REASON` | nothing does, and why that is right |
//! | `- open` | nobody has found out yet |
//!
//! `cargo models -- --ignored each_ordering --nocapture` looks for a model for each row that is
//! open, for hours, and prints the whole table.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use drystone::internals::sync::fault::LIGHT;
use drystone::internals::sync::modelled::WEAKENED;

/// How long a model is explored for one ordering.
const LONGEST: Duration = Duration::from_secs(40);

/// So many rows are open, at most.
const OPEN: usize = 30;

const STRONG: [&str; 4] =
    ["Ordering::Acquire", "Ordering::Release", "Ordering::AcqRel", "Ordering::SeqCst"];
const OPERATIONS: [&str; 9] = [
    ".load(",
    ".store(",
    ".swap(",
    ".fetch_add(",
    ".compare_exchange(",
    "fence(",
    "fence_after_rmw(",
    "asymmetric_fence_light(",
    "asymmetric_fence_heavy(",
];

/// A line with a strong ordering, or with a fence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Site {
    file: String,
    code: String,
    /// Which of the file's lines with that code.
    nth: usize,
    line: usize,
    /// The fault that is named there.
    fault: Option<String>,
}

/// What is known of a site.
#[derive(Debug)]
struct Row {
    key: (String, String, usize),
    held_by: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn table() -> PathBuf {
    root().join("tests/loom/orderings.txt")
}

/// All sites of the engine that models can come to: of code that is there under loom.
fn sites() -> Vec<Site> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("src/engine")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|end| end == "rs") => files.push(path),
                false => {}
            }
        }
    }
    files.sort();
    files.iter().flat_map(|path| sites_of(path)).collect()
}

fn sites_of(path: &Path) -> Vec<Site> {
    let file = path.strip_prefix(root().join("src")).unwrap().display().to_string();
    // Not under loom: the process's part, forks, and tests.
    let away = ["engine/global", "engine/fork", "engine/quarantine"];
    if away.iter().any(|away| file.starts_with(away)) || file.ends_with("tests.rs") {
        return Vec::new();
    }
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut found = BTreeSet::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim();
        if code.starts_with("//") || code.starts_with("use ") {
            continue;
        }
        let fences = ["fence_after_rmw(", "fence_light(", "fence_heavy("];
        if fences.iter().any(|fence| code.contains(fence)) {
            found.insert(at);
        }
        if !STRONG.iter().any(|strong| code.contains(strong)) {
            continue;
        }
        let is_an_operation = |at: &usize| OPERATIONS.iter().any(|one| lines[*at].contains(one));
        match code.strip_prefix("let ").and_then(|rest| rest.split_once(" = unless(")) {
            // The ordering has a name, and is used below.
            Some((name, _)) => found.extend((at + 1..lines.len().min(at + 14)).filter(|at| {
                let used = format!("{name})");
                let among = format!(", {name},");
                is_an_operation(at) && (lines[*at].contains(&used) || lines[*at].contains(&among))
            })),
            None => found.extend((at.saturating_sub(6)..=at).rev().find(is_an_operation)),
        }
    }
    let mut sites: Vec<Site> = Vec::new();
    for at in found {
        let code = lines[at].trim().to_owned();
        let nth = sites.iter().filter(|site| site.code == code).count();
        let fault = fault_at(&lines, at);
        sites.push(Site { file: file.clone(), code, nth, line: at + 1, fault });
    }
    sites
}

/// The fault that relaxes the ordering of a line: by the ordering's name, or right above.
fn fault_at(lines: &[&str], at: usize) -> Option<String> {
    let named = |line: &str| {
        let (_, rest) = line.split_once("Fault::")?;
        let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        Some(rest[..end].to_owned())
    };
    let relaxed = |above: &&str| {
        let name = above.trim().strip_prefix("let ").and_then(|rest| rest.split_once(" = unless("));
        name.is_some_and(|(name, _)| {
            let is_name = |word: &str| word == name;
            lines[at].split(|c: char| !c.is_alphanumeric() && c != '_').any(is_name)
        })
    };
    let above = &lines[at.saturating_sub(13)..at];
    let by_name = above.iter().rev().find(|line| relaxed(line)).and_then(|line| named(line));
    let around = &lines[at.saturating_sub(2)..=at];
    let by_block = || around.iter().rev().find(|line| line.contains("planted(")).copied();
    by_name.or_else(|| named(by_block()?))
}

impl Site {
    fn key(&self) -> (String, String, usize) {
        (self.file.clone(), self.code.clone(), self.nth)
    }
}

/// The rows of the table: `file | code | nth | held by`.
fn rows() -> Vec<Row> {
    let text = fs::read_to_string(table()).unwrap_or_default();
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    rows.map(|line| {
        // The code may hold a bar.
        let (file, rest) = line.split_once(" | ").expect("four columns");
        let mut last = rest.rsplitn(3, " | ");
        let (held_by, nth) = (last.next().unwrap(), last.next().expect("four columns"));
        let code = last.next().expect("four columns");
        let key = (file.to_owned(), code.to_owned(), nth.trim().parse().unwrap());
        Row { key, held_by: held_by.trim().to_owned() }
    })
    .collect()
}

/// The models that must pass, by their names.
fn models() -> Vec<String> {
    let output = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    let models = names.filter(|name| name.starts_with("engine::") && !name.ends_with("fails"));
    models.map(str::to_owned).collect()
}

/// Whether the model fails with an ordering relaxed; none if it was not explored to its end.
fn fails(model: &str, site: Option<&Site>, light: bool) -> Option<bool> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([model, "--exact"]).env("RUST_BACKTRACE", "0");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(site) = site {
        command.env(WEAKENED, format!("{}:{}", site.file, site.line));
    }
    if light {
        command.env(LIGHT, "1");
    }
    let (mut child, began) = (command.spawn().unwrap(), Instant::now());
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(!status.success());
        }
        if began.elapsed() > LONGEST {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_table_has_each_ordering_and_no_other() {
    let (all, rows) = (sites(), rows());
    let sites: BTreeSet<_> = all.iter().map(Site::key).collect();
    let named: BTreeSet<_> = rows.iter().map(|row| row.key.clone()).collect();
    let missing: Vec<_> = sites.difference(&named).collect();
    let stale: Vec<_> = named.difference(&sites).collect();
    assert!(missing.is_empty(), "write rows for these: {missing:#?}");
    assert!(stale.is_empty(), "delete these rows: {stale:#?}");
    let (models, twins) = (models(), twins());
    let mut open = 0;
    for site in all {
        let row = rows.iter().find(|row| row.key == site.key()).expect("each has a row");
        let held_by = row.held_by.as_str();
        let is_held = match held_by.split_once(' ') {
            Some(("twin", fault)) => {
                site.fault.as_deref() == Some(fault) && twins.contains(&format!("Fault::{fault}"))
            }
            Some(("-", "open")) => {
                open += 1;
                true
            }
            Some(("-", why)) => why.len() > 10,
            Some(("light", model)) => models.iter().any(|one| one == model),
            _ => models.iter().any(|one| one == held_by),
        };
        assert!(is_held, "{row:?}: no such twin or model, and no reason");
    }
    assert!(open <= OPEN, "{open} orderings are open, {OPEN} were: find what holds the new ones");
}

/// The text of all twins.
fn twins() -> String {
    let engine = fs::read_dir(root().join("tests/loom/engine")).unwrap();
    engine.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

/// What a row says is true: the model fails.
#[test]
fn the_models_of_the_table_hold_their_orderings() {
    let rows = rows();
    for site in sites() {
        let row = rows.iter().find(|row| row.key == site.key()).unwrap();
        if row.held_by.starts_with("- ") || row.held_by.starts_with("twin ") {
            continue;
        }
        let (model, light) = match row.held_by.strip_prefix("light ") {
            Some(model) => (model, true),
            None => (row.held_by.as_str(), false),
        };
        assert_eq!(fails(model, None, light), Some(false), "{model} by itself");
        assert_eq!(fails(model, Some(&site), light), Some(true), "{site:?}: {model} passes");
    }
}

/// Looks for a model for each ordering that is open, and prints the table. It fails while any is.
#[test]
#[ignore = "hours"]
fn each_ordering_has_a_model() {
    let rows = rows();
    // Without the light fence some fail anyhow. The quick ones first.
    let passing = |light| {
        let mut passing: Vec<(Duration, String)> = models()
            .into_iter()
            .filter_map(|model| {
                let began = Instant::now();
                (fails(&model, None, light) == Some(false)).then(|| (began.elapsed(), model))
            })
            .collect();
        passing.sort();
        passing.into_iter().map(|(_, model)| model).collect::<Vec<_>>()
    };
    let (light, full) = (passing(true), passing(false));
    let mut open = 0;
    for site in sites() {
        let known = rows.iter().find(|row| row.key == site.key());
        let held_by = match known {
            Some(row) if row.held_by != "- open" => row.held_by.clone(),
            _ if site.fault.is_some() => format!("twin {}", site.fault.clone().unwrap_or_default()),
            _ => {
                let bare = light.iter().find(|one| fails(one, Some(&site), true) == Some(true));
                let bare = bare.map(|model| format!("light {model}"));
                let whole = || full.iter().find(|one| fails(one, Some(&site), false) == Some(true));
                bare.or_else(|| whole().cloned()).unwrap_or_else(|| "- open".to_owned())
            }
        };
        open += u32::from(held_by == "- open");
        println!("{} | {} | {} | {held_by}", site.file, site.code, site.nth);
    }
    assert_eq!(open, 0, "orderings that no model holds");
}
