//! `cargo stress replay` from its arguments to its exit code.

use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use drystone_checker::journal::Journal;
use drystone_harness::exit;
use drystone_harness::output;
use drystone_harness::output::format::Printing;
use drystone_harness::output::progress;
use drystone_harness::output::table::{Shape, Table};
use drystone_harness::stop::{self, Stop};
use serde::Serialize;

use crate::allocators::version::Version;
use crate::findings::store::{self, Record};
use crate::model::finding::Finding;
use crate::replay::{Attempts, Way, attempt};
use crate::runner::supervisor::Supervisor;

/// Replay a finding: its recorded calls in their order, one at a time; failing that, its seed, many
/// times
///
/// Exit codes: 0 the finding of one thread was repeated exactly and did not come again; 1 it came
/// again; 2 wrong usage or a failure of the tool; 3 it did not come again, which with several
/// threads, or of what hangs on time, such as memory that grows, says little.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The folder of the finding
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,

    /// How often the recorded order is repeated
    #[arg(long, alias = "logged", value_name = "N", default_value_t = 5)]
    pub recorded: u32,

    /// How often it is rerun freely from its seed, where the recorded order does not show it
    /// [default: 20; 1 if it shows over a whole run, which takes as long as it did]
    #[arg(long, value_name = "N")]
    pub times: Option<u32>,

    /// How the result is printed.
    #[command(flatten)]
    pub printing: Printing,
}

/// What a replay came to.
#[derive(Clone, Debug, Serialize)]
struct Replayed<'a> {
    format: &'static str,
    version: u32,
    folder: &'a std::path::Path,
    threads: usize,
    /// Whether it shows over a whole run, and not at a call.
    of_a_whole_run: bool,
    attempts: Vec<Attempts>,
    /// Whether a single thread does the same each time: not where signals hit it, or another frees
    /// at once.
    #[serde(skip)]
    exact: bool,
    /// Whether it was stopped before the last attempt.
    interrupted: bool,
}

static STOP: Stop = Stop::new();

/// Replays; the exit code.
///
/// # Errors
/// The folder holds no finding, or the tool fails.
pub fn run(options: &Options) -> Result<u8> {
    let (record, journal) = store::read(&options.folder)?;
    let supervisor = Supervisor::of_this_binary()?;
    tell_of_a_change(&record, &supervisor);
    stop::at_ctrl_c(&STOP)?;
    let replayed = replay(options, &record, &journal, &supervisor)?;
    print(&replayed, options.printing).context("writing the result")?;
    conclude(&replayed);
    Ok(replayed.code())
}

/// A finding that is gone may be gone because the allocator is another.
pub(super) fn tell_of_a_change(record: &Record, supervisor: &Supervisor) {
    match Version::of(&record.spec, &supervisor.program) {
        Ok(version) if version.sha256 == record.allocator.sha256 => {}
        Ok(version) => {
            eprintln!(
                "the allocator has changed: found in {}, replayed in {version}",
                record.allocator
            );
        }
        Err(error) => eprintln!("the allocator's version is not known: {error}"),
    }
}

fn replay<'a>(
    options: &'a Options,
    record: &Record,
    journal: &Journal,
    supervisor: &Supervisor,
) -> Result<Replayed<'a>> {
    let mut attempts = Vec::new();
    let bar = progress::open();
    let mut progress = |attempts: &Attempts| {
        let Attempts { way, tries, again, .. } = attempts;
        bar.set_message(format!("{}: {again} of {tries} came again", name(*way)));
    };
    if record.journal_is_whole && options.recorded > 0 {
        let recorded = options.recorded;
        let recorded = attempt(supervisor, record, Some(journal), recorded, &STOP, &mut progress)?;
        attempts.push(recorded);
    }
    let again = attempts.iter().any(|attempts: &Attempts| attempts.again > 0);
    let of_a_whole_run = record.finding.kind.of_a_whole_run();
    let times = options.times.unwrap_or(if of_a_whole_run { 1 } else { 20 });
    if !again && times > 0 && !record.is_a_script {
        attempts.push(attempt(supervisor, record, None, times, &STOP, &mut progress)?);
    }
    bar.finish_and_clear();
    Ok(Replayed {
        format: "drystone-stress-replay",
        version: 2,
        folder: &options.folder,
        threads: record.spec.threads,
        of_a_whole_run,
        exact: record.spec.threads == 1 && !of_a_whole_run && record.spec.workload.is_its_calls(),
        attempts,
        interrupted: STOP.is_set(),
    })
}

fn name(way: Way) -> &'static str {
    match way {
        Way::Recorded => "the recorded calls in their order, one at a time",
        Way::Free => "freely, from the seed",
    }
}

impl Replayed<'_> {
    fn again(&self) -> bool {
        self.attempts.iter().any(|attempts| attempts.again > 0)
    }

    fn last(&self) -> Option<&Finding> {
        self.attempts.iter().rev().find_map(|attempts| attempts.last.as_ref())
    }

    fn code(&self) -> u8 {
        let tried = self.attempts.iter().any(|attempts| attempts.tries > 0);
        match self.again() {
            true => exit::FOUND,
            // Something else was found.
            false if self.last().is_some() => exit::FOUND,
            false if self.exact && tried && !self.interrupted => exit::FINE,
            false => exit::INTERRUPTED,
        }
    }
}

fn print(replayed: &Replayed<'_>, printing: Printing) -> io::Result<()> {
    let table = |shape, colored| table(replayed, shape, colored);
    output::print(printing, table, || output::json(replayed))
}

fn table(replayed: &Replayed<'_>, shape: Shape, colored: bool) -> String {
    let mut table =
        Table::new(shape, colored, ["replayed", "tries", "came again", "something else"]);
    for Attempts { way, tries, again, other, .. } in &replayed.attempts {
        table.row([name(*way), &tries.to_string(), &again.to_string(), &other.to_string()]);
    }
    table.right(1..4);
    let finding = replayed.last().map(|finding| shape.block(finding));
    format!("{table}\n{}", finding.unwrap_or_default())
}

fn conclude(replayed: &Replayed<'_>) {
    let stopped = if replayed.interrupted { "stopped; " } else { "" };
    let what = match (replayed.code(), replayed.again()) {
        (exit::FINE, _) => "every call of its one thread was repeated, and it did not come again",
        (_, true) => "the finding came again",
        (exit::FOUND, _) => "something else was found",
        _ => "it did not come again, which says little",
    };
    eprintln!("{stopped}{what}");
}
