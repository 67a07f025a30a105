//! `cargo stress shrink` from its arguments to its exit code.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context, Result, bail};
use clap::Args;
use drystone_checker::journal::{Call, Entry, Journal, Script};
use drystone_harness::entry;
use drystone_harness::exit;
use drystone_harness::output;
use drystone_harness::output::format::Printing;
use drystone_harness::output::progress;
use drystone_harness::output::table::{Shape, Table};
use drystone_harness::stop::{self, Stop};
use drystone_harness::text::units;
use drystone_workloads::cli::duration;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::cmd::replay::tell_of_a_change;
use crate::findings::store::{self, Record};
use crate::model::finding::Finding;
use crate::model::spec::Spec;
use crate::replay::shrink::{Shrunk, shrink};
use crate::replay::{Attempts, attempt};
use crate::runner::supervisor::Supervisor;

/// Make a finding smaller: fewer threads, blocks, calls, bytes, as long as it comes again
///
/// It must be one that comes again in its recorded order (see cargo stress replay). The result is a
/// finding's folder like the one it was made from, with the calls in calls.txt. Exit codes: 0 a
/// smaller one was written; 2 wrong usage or a failure of the tool; 3 the finding did not come
/// again in its recorded order, or nothing could be taken away.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The folder of the finding
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,

    /// Where the smaller one is written [default: `shrunk` in the folder]
    #[arg(long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,

    /// The longest that it may take; the smallest so far is written then
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse, default_value = "5m")]
    pub time: Duration,

    /// How often a script is tried before it counts as one that does not show the finding [default:
    /// 1 if each of the first 5 tries has shown it, else 3]
    #[arg(long, value_name = "N")]
    pub tries: Option<u32>,

    /// How the result is printed.
    #[command(flatten)]
    pub printing: Printing,
}

static STOP: Stop = Stop::new();

/// How often the finding is replayed before anything is taken away.
const FIRST_TRIES: u32 = 5;

/// The most calls that are printed; the file has them all.
const PRINTED: usize = 60;

/// Shrinks; the exit code.
///
/// # Errors
/// The folder holds no finding that can be shrunk, or the tool fails.
pub fn run(options: &Options) -> Result<u8> {
    let (record, journal) = store::read(&options.folder)?;
    if !record.journal_is_whole {
        bail!(
            "{}: its journal does not hold every call (workload {}), so that nothing can be taken \
             away; {} replay reruns it from its seed",
            options.folder.display(),
            record.spec.workload,
            entry::called()
        );
    }
    let output = options.output.clone().unwrap_or_else(|| options.folder.join("shrunk"));
    if output.exists() {
        bail!("{} is there already: remove it, or name another by --output", output.display());
    }
    let supervisor = Supervisor::of_this_binary()?;
    tell_of_a_change(&record, &supervisor);
    stop::at_ctrl_c(&STOP)?;
    let first = attempt(&supervisor, &record, Some(&journal), FIRST_TRIES, &STOP, &mut |_| {})?;
    if first.again == 0 {
        eprintln!(
            "in its recorded order it came again 0 of {} times, so that it can't be seen whether a \
             smaller one shows it; {} replay reruns it from its seed",
            first.tries,
            entry::called()
        );
        return Ok(exit::INTERRUPTED);
    }
    let mut hunt = Hunt::new(options, &record, &supervisor, &first);
    let whole = Script::of(&journal.entries());
    let shrunk = shrink(whole.clone(), &mut |script| hunt.shows(script))?;
    hunt.bar.finish_and_clear();
    if shrunk.script == whole {
        eprintln!("nothing could be taken away in {} tries", hunt.tries);
        return Ok(exit::INTERRUPTED);
    }
    let finding = hunt.last.take().context("a smaller script has shown the finding")?;
    write(&output, &record, finding, &shrunk.script)?;
    let result = Shrinkage::new(&output, &whole, &shrunk, hunt.tries);
    print(&result, &shrunk.script, options.printing).context("writing the result")?;
    conclude(&shrunk, &output);
    Ok(exit::FINE)
}

/// Tries scripts.
struct Hunt<'a> {
    supervisor: &'a Supervisor,
    record: &'a Record,
    /// How often one script is tried.
    each: u32,
    began: Instant,
    time: Duration,
    tries: u64,
    /// What the smallest script came to.
    last: Option<Finding>,
    bar: ProgressBar,
}

impl<'a> Hunt<'a> {
    fn new(
        options: &Options,
        record: &'a Record,
        supervisor: &'a Supervisor,
        first: &Attempts,
    ) -> Self {
        let each = if first.again == first.tries { 1 } else { 3 };
        Self {
            supervisor,
            record,
            each: options.tries.unwrap_or(each).max(1),
            began: Instant::now(),
            time: options.time,
            tries: 0,
            last: None,
            bar: progress::open(),
        }
    }

    /// Whether the finding comes of a script; none when time is up.
    fn shows(&mut self, script: &Script) -> Result<Option<bool>> {
        for _ in 0..self.each {
            if STOP.is_set() || self.began.elapsed() > self.time {
                return Ok(None);
            }
            self.tries += 1;
            let mut record = self.record.clone();
            record.spec = spec(&record.spec, script);
            let journal = script.to_journal();
            let made = attempt(self.supervisor, &record, Some(&journal), 1, &STOP, &mut |_| {})?;
            if made.again > 0 {
                self.bar.set_message(format!(
                    "{} tries, {} calls by {} threads",
                    self.tries,
                    script.steps.len(),
                    script.workers()
                ));
                self.last = made.last;
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    }
}

/// The episode with as many threads as the script has.
fn spec(spec: &Spec, script: &Script) -> Spec {
    Spec { threads: script.workers(), ..spec.clone() }
}

fn write(output: &Path, record: &Record, finding: Finding, script: &Script) -> Result<()> {
    let doing = || format!("writing {}", output.display());
    let spec = spec(&record.spec, script);
    let small = Record::new(finding, spec, record.allocator.clone()).of_a_script();
    let journal: Journal = script.to_journal();
    store::write(output, small, &journal).with_context(doing)?;
    let calls = output.join("calls.txt");
    fs::write(&calls, listing(script, usize::MAX)).with_context(doing)
}

/// The first `most` calls, a line each, and how many more there are.
fn listing(script: &Script, most: usize) -> String {
    let mut text = String::new();
    let mut begun = HashSet::new();
    // That each thread begins somewhere goes without saying; new ones after that do not.
    let shown = |entry: &&Entry| entry.call != Call::Begin || !begun.insert(entry.worker);
    // As a journal names the blocks, so that both read the same.
    let entries = script.to_journal().entries();
    let listed: Vec<&Entry> = entries.iter().filter(shown).collect();
    for entry in listed.iter().take(most) {
        _ = write!(text, "thread {}  {}", entry.worker, entry.call);
        if let (true, Some(block)) = (entry.call.allocates(), entry.block) {
            _ = write!(text, " = block {block}");
        }
        text.push('\n');
    }
    if listed.len() > most {
        _ = writeln!(text, "... and {} more", units::count((listed.len() - most) as u64));
    }
    text
}

#[derive(Serialize)]
struct Shrinkage<'a> {
    format: &'static str,
    version: u32,
    folder: &'a Path,
    /// False if time ran out before nothing more could be taken away.
    finished: bool,
    tries: u64,
    before: Size,
    after: Size,
}

#[derive(Serialize)]
struct Size {
    threads: usize,
    calls: usize,
    blocks: usize,
    bytes_asked_for: u64,
}

impl Size {
    fn of(script: &Script) -> Self {
        let sizes = script.steps.iter().filter_map(|step| step.call.size());
        Self {
            threads: script.workers(),
            calls: script.steps.len(),
            blocks: script.steps.iter().filter(|step| step.call.allocates()).count(),
            bytes_asked_for: sizes.fold(0, |sum: u64, size| sum.saturating_add(size as u64)),
        }
    }
}

impl<'a> Shrinkage<'a> {
    fn new(folder: &'a Path, whole: &Script, shrunk: &Shrunk, tries: u64) -> Self {
        Self {
            format: "drystone-stress-shrink",
            version: 1,
            folder,
            finished: shrunk.finished,
            tries,
            before: Size::of(whole),
            after: Size::of(&shrunk.script),
        }
    }
}

fn print(result: &Shrinkage<'_>, script: &Script, printing: Printing) -> io::Result<()> {
    let table = |shape, colored| table(result, script, shape, colored);
    output::print(printing, table, || output::json(result))
}

fn table(result: &Shrinkage<'_>, script: &Script, shape: Shape, colored: bool) -> String {
    let mut table =
        Table::new(shape, colored, ["", "threads", "calls", "blocks", "bytes asked for"]);
    for (name, size) in [("found", &result.before), ("shrunk", &result.after)] {
        let Size { threads, calls, blocks, bytes_asked_for } = size;
        let numbers = [*threads as u64, *calls as u64, *blocks as u64, *bytes_asked_for];
        table.row([vec![name.to_owned()], numbers.map(units::count).to_vec()].concat());
    }
    table.right(1..5);
    format!("{table}\n{}", shape.block(listing(script, PRINTED).trim_end()))
}

fn conclude(shrunk: &Shrunk, output: &Path) {
    let how = match shrunk.finished {
        true => "nothing more can be taken away",
        false => "stopped before all was tried",
    };
    eprintln!("{how}; written to {}", output.display());
}

#[cfg(test)]
mod tests {
    use super::*;
    use drystone_checker::journal::Builder;

    #[test]
    fn what_is_listed_and_what_is_left_are_all_that_is_told() {
        let mut journal = Builder::new(2);
        // Two generations: the second thread of each worker is told of too.
        for worker in 0..2 {
            for generation in 0..2 {
                journal.push(worker, 4 * generation, Call::Begin);
                for moment in 1..=2 {
                    journal.push(worker, 4 * generation + moment, Call::Malloc { size: 8 });
                }
            }
        }
        let script = Script::of(&journal.finish().entries());
        let all = listing(&script, usize::MAX);
        assert_eq!(all.lines().count(), 8 + 2, "{all}");
        let some = listing(&script, 5);
        assert_eq!(some.lines().count(), 6, "{some}");
        assert!(some.ends_with("... and 5 more\n"), "{some}");
        assert_eq!(listing(&script, 10), all);
    }
}
