//! What came of the hunts, in Markdown: the summary, and a row for each fault.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use drystone_harness::output::table::{Shape, Table};

use crate::cmd::zoo::faults::Fault;
use crate::cmd::zoo::hunt::Caught;
use crate::cmd::zoo::options::Options;

/// What stands in the document as that which wrote the table.
const COMMAND: &str = "cargo stress zoo";

/// What came of the clean build.
#[derive(Clone, Copy, Debug)]
pub enum Clean<'c> {
    /// The hunt was stopped before it.
    NotRun,
    /// Nothing in this time, as is right.
    NothingIn(Duration),
    /// A false finding.
    Finding(&'c Caught),
}

/// The table and its summary.
pub fn report(caught: &[(&Fault, Vec<Caught>)], clean: Clean<'_>, options: &Options) -> String {
    let mut table = Table::new(
        Shape::Markdown,
        false,
        ["fault", "layer", "breaks", "found by", "as", "after", "named", "replays"],
    );
    for (fault, times) in caught {
        let found: Vec<&Caught> = times.iter().filter(|one| one.by.is_some()).collect();
        let part = |count: usize| match times.len() {
            1 => if count == 1 { "yes" } else { "no" }.to_owned(),
            all => format!("{count} of {all}"),
        };
        let (by, kind) = match found.first() {
            Some(one) => (one.by.clone().unwrap_or_default(), one.kind.clone()),
            None if fault.shows => ("**nobody**".to_owned(), String::new()),
            None if times.is_empty() => ("loom or a test".to_owned(), String::new()),
            None => ("loom or a test alone".to_owned(), String::new()),
        };
        let after = median(found.iter().map(|one| one.took).collect());
        let replays = found.iter().filter(|one| one.replays == Some(true)).count();
        let tried = found.iter().any(|one| one.replays.is_some());
        table.row([
            fault.name.clone(),
            fault.layer.clone(),
            fault.breaks.replace('|', "\\|"),
            by,
            kind,
            after.map_or(String::new(), |after| format!("{:.1} s", after.as_secs_f64())),
            if found.is_empty() {
                String::new()
            } else {
                part(found.iter().filter(|one| one.named).count())
            },
            if tried { part(replays) } else { String::new() },
        ]);
    }
    format!("{}\n\n{}\n", wrapped(&summary(caught, clean, options)), table.trimmed())
}

/// Prose in lines of 100 columns.
fn wrapped(text: &str) -> String {
    const COLUMNS: usize = 100;
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > COLUMNS {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines.push(line);
    lines.join("\n")
}

fn summary(caught: &[(&Fault, Vec<Caught>)], clean: Clean<'_>, options: &Options) -> String {
    let shown: Vec<&Caught> =
        caught.iter().filter(|(fault, _)| fault.shows).flat_map(|(_, times)| times).collect();
    let by_default = |one: &&&Caught| one.by.as_deref().is_some_and(|by| by != "conform");
    let found: Vec<&&Caught> = shown.iter().filter(by_default).collect();
    let all = shown.iter().filter(|one| one.by.is_some()).count();
    let percent = |part: usize| 100 * part / shown.len().max(1);
    let after = median(found.iter().map(|one| one.took).collect()).unwrap_or_default();
    let named = found.iter().filter(|one| one.named).count();
    let others = caught.iter().filter(|(fault, _)| !fault.shows);
    let (mut hidden, mut seen) = (0, 0);
    for (_, times) in others {
        hidden += 1;
        seen += usize::from(times.iter().any(|one| one.by.is_some()));
    }
    let clean = match clean {
        Clean::NotRun => "The clean build was not run.".to_owned(),
        Clean::NothingIn(time) => {
            format!("The clean build gave no finding in {} s.", time.as_secs())
        }
        Clean::Finding(one) => format!("**The clean build gave a false finding: {one}.**"),
    };
    let with = match options.quick {
        true => "; `conform` and the replays were left out".to_owned(),
        false => format!("; with `conform` {all}, {} %", percent(all)),
    };
    let seen = if options.all { format!("{seen} of them found") } else { "not hunted".to_owned() };
    format!(
        "Of {} hunts of faults that show from outside the default run ({} s) found {}, {} %{with}. \
         The median time to find one, with the start of its process, is {:.1} s; {named} of {} \
         findings name what was planted. {hidden} more faults are for loom or a test, and were \
         {seen}. {clean} Made {}.",
        shown.len(),
        options.time.as_secs(),
        found.len(),
        percent(found.len()),
        after.as_secs_f64(),
        found.len(),
        here_and_now(),
    )
}

/// The machine and the date.
fn here_and_now() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("an unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    format!("on {cores} cores of {model}, {}", now.split('T').next().unwrap_or_default())
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// Puts the report into its section of a file, sealed.
///
/// # Errors
/// The file can't be read or written, or has no such section.
pub fn write(file: &Path, report: &str) -> io::Result<()> {
    let text = fs::read_to_string(file)?;
    let text = drystone_tidy::replace(&text, COMMAND, report).map_err(io::Error::other)?;
    fs::write(file, text)
}

#[test]
fn a_table_is_written_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zoo.md");
    let old = drystone_tidy::seal(COMMAND, "| old |");
    fs::write(&file, format!("# Zoo\n\n{old}\nrest\n")).unwrap();
    write(&file, "| new |\n").unwrap();
    let new = drystone_tidy::seal(COMMAND, "| new |");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("# Zoo\n\n{new}\nrest\n"));
    fs::write(&file, "# Zoo\n").unwrap();
    assert!(write(&file, "").unwrap_err().to_string().contains("cargo stress zoo"));
}
