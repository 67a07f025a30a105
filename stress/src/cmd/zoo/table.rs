//! What came of the hunts, for a terminal or in Markdown: the summary, and a row for each fault.

use std::fs;
use std::io;
use std::path::Path;

use comfy_table::{Cell, Color};
use drystone_harness::output::table::{Shape, Table};

use crate::cmd::zoo::hunt::Caught;
use crate::cmd::zoo::results::{Clean, Hunted, Made, Results, Summary, median};

/// What stands in the document as that which wrote the table.
const COMMAND: &str = "cargo stress zoo";

/// The table under its summary.
pub(super) fn report(results: &Results<'_>, shape: Shape, colored: bool) -> String {
    let mut table = Table::new(
        shape,
        colored,
        ["fault", "layer", "breaks", "found by", "as", "after", "named", "replays"],
    );
    for hunted in results.caught {
        table.row(row(&table, hunted, shape));
    }
    format!("{}\n\n{}\n", wrapped(&summary(results, shape)), table.trimmed())
}

fn row(table: &Table, (fault, times): &Hunted<'_>, shape: Shape) -> Vec<Cell> {
    let found: Vec<&Caught> = times.iter().filter(|one| one.by.is_some()).collect();
    let part = |count: usize| match times.len() {
        1 => if count == 1 { "yes" } else { "no" }.to_owned(),
        all => format!("{count} of {all}"),
    };
    let (by, kind) = match found.first() {
        Some(one) => (Cell::new(one.by.as_deref().unwrap_or_default()), one.kind.as_str()),
        None if fault.shows && shape == Shape::Markdown => (Cell::new("**nobody**"), ""),
        None if fault.shows => (table.paint("nobody", Color::Red), ""),
        None if times.is_empty() => (Cell::new("loom or a test"), ""),
        None => (Cell::new("loom or a test alone"), ""),
    };
    let breaks = match shape {
        Shape::Markdown => fault.breaks.replace('|', "\\|"),
        Shape::Table => fault.breaks.clone(),
    };
    let after = median(found.iter().map(|one| one.took).collect());
    let named = found.iter().filter(|one| one.named).count();
    let replays = found.iter().filter(|one| one.replays == Some(true)).count();
    let tried = found.iter().any(|one| one.replays.is_some());
    vec![
        Cell::new(&fault.name),
        Cell::new(&fault.layer),
        Cell::new(breaks),
        by,
        Cell::new(kind),
        Cell::new(after.map_or(String::new(), |after| format!("{:.1} s", after.as_secs_f64()))),
        Cell::new(if found.is_empty() { String::new() } else { part(named) }),
        Cell::new(if tried { part(replays) } else { String::new() }),
    ]
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

fn summary(results: &Results<'_>, shape: Shape) -> String {
    let Summary { hunts, found, found_by_default, named, median, hidden, hidden_found } =
        results.summary();
    let percent = |part: usize| 100 * part / hunts.max(1);
    let strong = |text: String| match shape {
        Shape::Markdown => format!("**{text}**"),
        Shape::Table => text,
    };
    let clean = match &results.clean {
        Clean::NotRun => "The clean build was not run.".to_owned(),
        Clean::NothingIn(time) => {
            format!("The clean build gave no finding in {} s.", time.as_secs())
        }
        Clean::Finding(one) => strong(format!("The clean build gave a false finding: {one}.")),
    };
    let with = match results.options.quick {
        true => "; `conform` and the replays were left out".to_owned(),
        false => format!("; with `conform` {found}, {} %", percent(found)),
    };
    let seen = match results.options.all {
        true => format!("{hidden_found} of them found"),
        false => "not hunted".to_owned(),
    };
    let Made { cores, processor, date } = &results.made;
    format!(
        "Of {hunts} hunts of faults that show from outside the default run ({} s) found \
         {found_by_default}, {} %{with}. The median time to find one, with the start of its \
         process, is {:.1} s; {named} of {found_by_default} findings name what was planted. \
         {hidden} more faults are for loom or a test, and were {seen}. {clean} Made on {cores} \
         cores of {processor}, {date}.",
        results.options.time.as_secs(),
        percent(found_by_default),
        median.as_secs_f64(),
    )
}

/// Puts the report into its section of a file, sealed.
///
/// # Errors
/// The file can't be read or written, or has no such section.
pub(super) fn write(file: &Path, report: &str) -> io::Result<()> {
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
