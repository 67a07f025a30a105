//! `cargo stress inject`: failures of the OS that are injected into an allocator's calls.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use drystone_checker::counters::Count;
use drystone_checker::journal::Builder;
use drystone_harness::allocators::{self, Allocator, Folders};
use drystone_harness::exit;
use drystone_harness::output;
use drystone_harness::output::format::Printing;
use drystone_harness::output::progress;
use drystone_harness::output::table::{Shape, Table};
use drystone_harness::seed::Seed;
use drystone_harness::stop::{self, Stop};
use drystone_harness::text::units;
use drystone_workloads::cli::duration;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::allocators::process::AllocatorEntry;
use crate::allocators::version::Version;
use crate::findings::store::{self, Record};
use crate::inject::seccomp;
use crate::model::finding::Finding;
use crate::model::injection::{By, Calls, Injection, InjectionPlan};
use crate::model::outcome::Outcome;
use crate::model::spec::{Length, Spec, Workload};
use crate::plan::choose::choose;
use crate::plan::options;
use crate::runner::inject::{self, calls};
use crate::runner::supervisor::Supervisor;

/// Inject failures of the OS into an allocator's calls: each in turn, by chance, and by a limit on
/// the address space
///
/// After each failure: null with ENOMEM or success, old blocks intact, nothing leaked, and all
/// served again later. Exit codes: 0 no finding; 1 a finding, kept in a folder; 2 wrong usage or a
/// failure of the tool; 3 stopped before the end, or something could not be told: there was no call
/// that could fail, or there was no end to them, or this machine does not permit seccomp's user
/// notification, which all allocators need except linked ones with an OS of their own.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// An allocator: a name of cargo stress --list, a shared library, or a library under a name of
    /// your own; repeatable [default: all that are linked in, and system]
    #[arg(long = "allocator", alias = allocators::OLD_OPTION, value_name = allocators::VALUE)]
    pub allocators: Vec<String>,

    /// Let this call alone fail, counted from 1, and nothing else
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..))]
    pub call: Option<u64>,

    /// The last call to fail in turn [default: the last that there is, if that comes before 20,000]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..))]
    pub last: Option<u64>,

    /// By chance: one call in so many
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(2..))]
    pub one_in: u64,

    /// How long each allocator's calls fail by chance
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse, default_value = "5s")]
    pub time: Duration,

    /// Worker threads, by chance [default: twice the cores, 4 to 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub threads: Option<u16>,

    /// The seed of every random choice [default: drawn, and printed]
    #[arg(long, value_name = "SEED")]
    pub seed: Option<Seed>,

    /// Where findings are kept, a folder each
    #[arg(long, value_name = "DIR", default_value = store::DEFAULT)]
    pub findings: PathBuf,

    /// How the report is printed.
    #[command(flatten)]
    pub printing: Printing,
}

/// MiB that the address space may grow by.
const SPACE_MIB: u64 = 64;

/// Of an allocator whose rounds make more calls than this no further ones fail: hours would not do.
const MOST_CALLS: u64 = 20_000;

static STOP: Stop = Stop::new();

/// An allocator whose calls are to fail.
struct Target {
    name: String,
    library: Option<PathBuf>,
    by: By,
}

/// What a run in turn says.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// Its call failed, of so many.
    Failed { of: u64 },
    /// It made fewer calls than that: there is no further one.
    Over { of: u64 },
    /// It can't be told.
    Untold(String),
}

fn turn(call: u64, seen: Option<Calls>) -> Turn {
    match seen {
        None => Turn::Untold(NOT_COUNTED.to_owned()),
        Some(Calls { made, failed: 1.. }) => Turn::Failed { of: made },
        Some(Calls { made, failed: 0 }) if made < call => Turn::Over { of: made },
        Some(Calls { made, .. }) => {
            Turn::Untold(format!("{made} calls to the OS were made, and it did not fail"))
        }
    }
}

const NOT_COUNTED: &str = "the run does not say which calls to the OS it made";

/// Whether any call was seen at all.
fn counted(seen: Option<Calls>) -> Result<Calls> {
    match seen {
        None => bail!(NOT_COUNTED),
        Some(Calls { made: 0, .. }) => {
            bail!("no call to the OS was seen that could be made to fail")
        }
        Some(calls) => Ok(calls),
    }
}

/// Whether some call failed.
fn some_failed(seen: Option<Calls>) -> Result<()> {
    match counted(seen)? {
        Calls { made, failed: 0 } => bail!(
            "none of {made} calls to the OS failed; give a longer --for or a smaller --one-in"
        ),
        _ => Ok(()),
    }
}

fn no_end(made: u64) -> String {
    format!(
        "stopped after {} calls in turn of some {}; give --last for more",
        units::count(MOST_CALLS),
        units::count(made)
    )
}

/// What became of one.
#[derive(Debug, Default, Serialize)]
struct Row {
    allocator: String,
    by: &'static str,
    /// Calls that failed in turn, one in each process.
    in_turn: u64,
    /// Whether every call was, to the last that there is.
    all: bool,
    /// Of those, the ones that ended in null for the program; the others were absorbed.
    ended_in_null: u64,
    /// Requests that failed by chance, and calls to the OS. None: that was not tried, or the
    /// run ended before it could say.
    by_chance_nulls: Option<u64>,
    by_chance_calls: Option<u64>,
    /// Requests that failed for want of address space. None: as above.
    limit_nulls: Option<u64>,
    /// What has shown nothing, and why: no finding, and nothing to rely on.
    cannot_tell: Vec<String>,
    findings: Vec<Finding>,
}

/// Injects; the exit code.
///
/// # Errors
/// Wrong usage, or the tool fails.
pub fn run(options: &Options, linked: &[AllocatorEntry]) -> Result<u8> {
    let targets = targets(options, linked)?;
    let seed = options.seed.unwrap_or_else(Seed::random);
    eprintln!("seed {seed}");
    stop::at_ctrl_c(&STOP)?;
    let mut campaign = Campaign {
        options,
        supervisor: Supervisor::of_this_binary()?,
        seed,
        bar: progress::open(),
        not_permitted: false,
    };
    let mut rows = Vec::new();
    for target in &targets {
        if STOP.is_set() {
            break;
        }
        if let Some(row) = campaign.allocator(target)? {
            rows.push(row);
        }
    }
    campaign.bar.finish_and_clear();
    print(&rows, seed, options.printing).context("writing the report")?;
    Ok(conclude(&rows, STOP.is_set() || campaign.not_permitted))
}

/// Says what came of it all, and how the process ends.
fn conclude(rows: &[Row], not_all: bool) -> u8 {
    let found: usize = rows.iter().map(|row| row.findings.len()).sum();
    let mut untold = not_all;
    for row in rows {
        for why in &row.cannot_tell {
            eprintln!("{}: cannot tell: {why}", row.allocator);
            untold = true;
        }
    }
    let (said, code) = match (found, untold) {
        (1.., _) => (format!("findings: {found}"), exit::FOUND),
        (0, true) => (
            format!("no finding, but not all is told (exit code {})", exit::INTERRUPTED),
            exit::INTERRUPTED,
        ),
        (0, false) => ("no finding".to_owned(), exit::FINE),
    };
    eprintln!("{said}");
    code
}

fn targets(options: &Options, linked: &[AllocatorEntry]) -> Result<Vec<Target>> {
    let folders = Folders::of_this_binary()?;
    let chosen = choose(&options.allocators, linked, &folders)?;
    let target = |Allocator { name, library, .. }: Allocator| {
        let linked = linked.iter().find(|one| library.is_none() && one.name == name);
        let own = match linked {
            Some(one) => (one.open)()?.own,
            None => None,
        };
        let by = if own.is_some_and(|own| own.os_can_fail) { By::FaultyOs } else { By::Notify };
        Ok(Target { name, library, by })
    };
    chosen.into_iter().map(target).collect()
}

struct Campaign<'a> {
    options: &'a Options,
    supervisor: Supervisor,
    seed: Seed,
    bar: ProgressBar,
    not_permitted: bool,
}

impl Campaign<'_> {
    fn allocator(&mut self, target: &Target) -> Result<Option<Row>> {
        if target.by == By::Notify
            && let Err(why) = seccomp::permitted()
        {
            eprintln!("{}: not tried: {why}", target.name);
            self.not_permitted = true;
            return Ok(None);
        }
        self.bar.set_prefix(format!("{}: ", target.name));
        let allocator = target.name.clone();
        let mut row = Row { allocator, by: target.by.name(), ..Row::default() };
        self.in_turn(target, &mut row)?;
        if self.options.call.is_none() && !STOP.is_set() {
            self.by_chance(target, &mut row)?;
        }
        if self.options.call.is_none() && !STOP.is_set() {
            self.in_little_space(target, &mut row)?;
        }
        Ok(Some(row))
    }

    /// Each call in turn, until a run sees no further one or something is found.
    fn in_turn(&self, target: &Target, row: &mut Row) -> Result<()> {
        let first = match self.options.call {
            Some(call) => call,
            None => {
                let plan = InjectionPlan::None;
                let none = self.run(target, Injection { plan, by: target.by }, 1)?;
                let (seen, cut_short) = (calls(&none), none.cut_short);
                if self.found(target, InjectionPlan::None, target.by, none, row)? || cut_short {
                    return Ok(());
                }
                if let Err(why) = counted(seen) {
                    row.cannot_tell.push(format!("in turn: {why}"));
                    return Ok(());
                }
                1
            }
        };
        let (mut made, limit) = (0, self.options.call.or(self.options.last));
        for call in first..=limit.unwrap_or(MOST_CALLS) {
            let injection = Injection { plan: InjectionPlan::Once(call), by: target.by };
            let outcome = self.run(target, injection, 1)?;
            if outcome.cut_short {
                return Ok(());
            }
            if outcome.finding.is_none() {
                match turn(call, calls(&outcome)) {
                    Turn::Failed { of } => made = of,
                    Turn::Over { .. } if self.options.call.is_none() => {
                        row.all = true;
                        return Ok(());
                    }
                    Turn::Over { of } => {
                        let why = format!("call {call} was never made, there were {of}");
                        row.cannot_tell.push(why);
                        return Ok(());
                    }
                    Turn::Untold(why) => {
                        row.cannot_tell.push(format!("call {call}: {why}"));
                        return Ok(());
                    }
                }
            }
            self.bar.set_message(format!("call {call} of some {}", made.max(call)));
            row.in_turn += 1;
            row.ended_in_null += u64::from(outcome.counters[Count::FailedRequests] > 0);
            if self.found(target, injection.plan, injection.by, outcome, row)? {
                return Ok(());
            }
        }
        row.cannot_tell.extend(limit.is_none().then(|| no_end(made)));
        Ok(())
    }

    fn by_chance(&self, target: &Target, row: &mut Row) -> Result<()> {
        let plan = InjectionPlan::OneIn { calls: self.options.one_in, seed: self.seed };
        let threads = self.options.threads.map_or_else(options::default_threads, usize::from);
        self.bar.set_message(format!("one call in {} by chance", self.options.one_in));
        let injection = Injection { plan, by: target.by };
        let outcome = self.run(target, injection, threads)?;
        row.by_chance_nulls = Some(outcome.counters[Count::FailedRequests]);
        let seen = calls(&outcome);
        row.by_chance_calls = seen.map(|calls| calls.failed);
        let cut_short = outcome.cut_short;
        if !self.found(target, plan, target.by, outcome, row)? && !cut_short {
            row.cannot_tell.extend(some_failed(seen).err().map(|why| format!("by chance: {why}")));
        }
        Ok(())
    }

    fn in_little_space(&self, target: &Target, row: &mut Row) -> Result<()> {
        let plan = InjectionPlan::AddressSpace(SPACE_MIB << 20);
        self.bar.set_message("little address space");
        let outcome = self.run(target, Injection { plan, by: By::Limit }, 1)?;
        let nulls = outcome.counters[Count::FailedRequests];
        row.limit_nulls = Some(nulls);
        let cut_short = outcome.cut_short;
        if !self.found(target, plan, By::Limit, outcome, row)? && !cut_short && nulls == 0 {
            let why = "every request was granted, so that none failed for want of it";
            row.cannot_tell.push(format!("in little space: {why}"));
        }
        Ok(())
    }

    fn spec(&self, target: &Target, threads: usize) -> Spec {
        let length = Length::of(self.options.time);
        let spec = Spec::new(&target.name, Workload::Mixed, threads, self.seed, length);
        Spec { library: target.library.clone(), ..spec }
    }

    fn run(&self, target: &Target, injection: Injection, threads: usize) -> Result<Outcome> {
        self.bar.tick();
        let spec = self.spec(target, threads);
        let doing = || format!("{}, {}", target.name, injection.plan);
        inject::run(&spec, injection, |job| self.supervisor.job(job, &STOP, &mut |_, _, _| {}))
            .with_context(doing)
    }

    /// Keeps what was found, if anything was.
    fn found(
        &self,
        target: &Target,
        plan: InjectionPlan,
        by: By,
        outcome: Outcome,
        row: &mut Row,
    ) -> Result<bool> {
        let Some(finding) = outcome.finding else { return Ok(false) };
        let program = &self.supervisor.program;
        let spec = outcome.spec;
        let version = Version::of(&spec, program)?;
        let journal = Builder::new(spec.threads).finish();
        let record = Record::new(finding, spec, version).under(Injection { plan, by });
        let finding = store::keep(&self.options.findings, record, &journal)?;
        self.bar.println(format!("{}: {plan}: {}", target.name, finding.kind));
        row.findings.push(finding);
        Ok(true)
    }
}

#[derive(Serialize)]
struct Report<'a> {
    format: &'static str,
    version: u32,
    seed: Seed,
    allocators: &'a [Row],
}

fn print(rows: &[Row], seed: Seed, printing: Printing) -> io::Result<()> {
    let report = Report { format: "drystone-stress-inject", version: 4, seed, allocators: rows };
    let table = |shape, colored| table(rows, shape, colored);
    output::print(printing, table, || output::json(&report))
}

fn table(rows: &[Row], shape: Shape, colored: bool) -> String {
    let columns = [
        "allocator",
        "failed by",
        "calls in turn",
        "ended in null",
        "calls by chance",
        "nulls",
        "nulls in little space",
        "findings",
    ];
    let mut table = Table::new(shape, colored, columns);
    for row in rows {
        let in_turn = units::count(row.in_turn) + if row.all { "" } else { ", not all" };
        table.row([
            row.allocator.clone(),
            row.by.to_owned(),
            in_turn,
            units::count(row.ended_in_null),
            known(row.by_chance_calls),
            known(row.by_chance_nulls),
            known(row.limit_nulls),
            row.findings.len().to_string(),
        ]);
    }
    table.right(2..8);
    let mut text = format!("{table}\n");
    for row in rows {
        for why in &row.cannot_tell {
            text += &format!("\n{}: cannot tell: {why}\n", row.allocator);
        }
    }
    for finding in rows.iter().flat_map(|row| &row.findings) {
        text += &shape.block(finding);
    }
    text
}

fn known(count: Option<u64>) -> String {
    count.map_or_else(|| "-".to_owned(), units::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_in_turn_has_failed_or_is_over_or_not_told() {
        let calls = |made, failed| Some(Calls { made, failed });
        assert_eq!(turn(7, calls(9, 1)), Turn::Failed { of: 9 });
        assert_eq!(turn(10, calls(9, 0)), Turn::Over { of: 9 });
        assert_eq!(turn(1, calls(0, 0)), Turn::Over { of: 0 });
        assert!(matches!(turn(9, calls(9, 0)), Turn::Untold(why) if why.contains("did not fail")));
        assert_eq!(turn(7, None), Turn::Untold(NOT_COUNTED.to_owned()));
    }

    #[test]
    fn what_was_not_seen_is_no_success() {
        assert!(counted(None).is_err());
        assert!(
            counted(Some(Calls { made: 0, failed: 0 }))
                .unwrap_err()
                .to_string()
                .contains("no call")
        );
        let some = |made, failed| some_failed(Some(Calls { made, failed }));
        assert!(some(300, 30).is_ok());
        assert!(some(3, 0).unwrap_err().to_string().contains("none of 3 calls"));
        assert!(some(0, 0).is_err() && some_failed(None).is_err());
    }

    #[test]
    fn the_exit_code_is_no_zero_where_something_is_not_told() {
        let row = || Row::default();
        let untold = || Row { cannot_tell: vec![no_end(30_000)], ..row() };
        assert_eq!(conclude(&[row(), row()], false), exit::FINE);
        assert_eq!(conclude(&[row(), row()], true), exit::INTERRUPTED);
        assert_eq!(conclude(&[row(), untold()], false), exit::INTERRUPTED);
        assert_eq!(
            no_end(30_000),
            "stopped after 20,000 calls in turn of some 30,000; give --last for more"
        );
    }
}
