//! `cargo stress join`: the records of a campaign's shards as one report.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use drystone_harness::exit;
use drystone_harness::output::format::Printing;

use crate::cmd::junit::Junit;
use crate::cmd::report;
use crate::model::outcome::Outcome;
use crate::model::runs::{Plan, Results};
use crate::model::spec::Spec;
use crate::runner::record::Record;

/// Join the records of a campaign's shards, or of one campaign, into one report
///
/// Exit codes: 0 no finding; 1 a finding; 2 wrong usage, or a run that could not be made; 3 a shard
/// is missing, was stopped or killed, and no finding so far.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Files that --record has written
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,

    /// Write the outcome into this file too, as JUnit XML: a test for each run
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// How the report is printed.
    #[command(flatten)]
    printing: Printing,
}

/// Joins them; the exit code.
///
/// # Errors
/// A file is no record, they are not of one campaign, or the report can't be written.
pub fn run(options: &Options) -> Result<u8> {
    let junit = options.junit.as_deref().map(Junit::open).transpose()?;
    let records: Vec<(PathBuf, Record)> = options
        .records
        .iter()
        .map(|path| Ok((path.clone(), Record::read(path)?)))
        .collect::<Result<_>>()?;
    agree(&records)?;
    let mut missing = missing(&records);
    let records: Vec<Record> = records
        .into_iter()
        .map(|(path, record)| {
            missing.extend(cut_off(&record).map(|how| format!("{}: {how}", path.display())));
            record
        })
        .collect();
    let results = sum(records, !missing.is_empty());
    report::print(&results, options.printing).context("writing the report")?;
    if let Some(junit) = junit {
        junit.write(&results)?;
    }
    for failure in &results.failures {
        eprintln!("error: {failure}");
    }
    for one in &missing {
        eprintln!("{one}");
    }
    let findings = results.findings().count();
    eprintln!("{} in {} records", count(findings, "finding"), options.records.len());
    Ok(match (findings, results.failures.is_empty(), missing.is_empty()) {
        (1.., ..) => exit::FOUND,
        (0, false, _) => exit::FAILED,
        (0, true, false) => exit::INTERRUPTED,
        (0, true, true) => exit::FINE,
    })
}

fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// What a run is, whichever shard makes it.
fn same(spec: &Spec) -> Spec {
    Spec { seed: drystone_harness::seed::Seed(0), ..spec.clone() }
}

/// Rejects records that are not of one campaign, or twice of one shard.
fn agree(records: &[(PathBuf, Record)]) -> Result<()> {
    let (first_path, first) = &records[0];
    let plan = |record: &Record| record.begin.runs.iter().map(same).collect::<Vec<_>>();
    let mut seen = BTreeSet::new();
    for (path, record) in records {
        let of = |record: &Record| record.begin.shard.map(|shard| shard.of);
        if record.begin.seed != first.begin.seed
            || of(record) != of(first)
            || plan(record) != plan(first)
        {
            bail!(
                "{} and {} are not of one campaign: seed, number of shards and runs must be the \
                 same",
                first_path.display(),
                path.display()
            );
        }
        if !seen.insert(record.begin.shard) {
            let which =
                record.begin.shard.map_or("the whole".to_owned(), |shard| format!("shard {shard}"));
            bail!("{} is of {which}, and so is another of these records", path.display());
        }
    }
    Ok(())
}

/// Shards that no record is of.
fn missing(records: &[(PathBuf, Record)]) -> Vec<String> {
    let here: BTreeSet<u32> =
        records.iter().filter_map(|(_, record)| Some(record.begin.shard?.number)).collect();
    let of = records[0].1.begin.shard.map_or(0, |shard| shard.of);
    (1..=of)
        .filter(|number| !here.contains(number))
        .map(|number| format!("shard {number}/{of} is missing"))
        .collect()
}

/// How a record came to its end before its campaign did.
fn cut_off(record: &Record) -> Option<String> {
    let done = format!("{} of {} runs ended", record.outcomes.len(), record.begin.runs.len());
    let under_way = record.unfinished.map_or(String::new(), |(run, sample)| {
        let spec = record.begin.runs.get(run).map_or("?".to_owned(), Spec::to_string);
        format!(", and {spec} had done {} operations in {:.0} s", sample.operations, sample.seconds)
    });
    match record.done {
        Some(false) => None,
        Some(true) => Some(format!("was stopped: {done}{under_way}")),
        None => Some(format!("was killed: {done}{under_way}")),
    }
}

/// Equal runs are summed; each with a finding stands for itself.
fn sum(records: Vec<Record>, interrupted: bool) -> Results {
    let Record { begin, .. } = &records[0];
    let plan = Plan {
        seed: begin.seed,
        threads: begin.threads,
        shard: None,
        runs: begin.runs.clone(),
        left_out: Vec::new(),
    };
    let seconds = records.iter().map(|record| record.seconds).fold(0.0, f64::max);
    let (mut outcomes, mut failures) = (Vec::<Outcome>::new(), Vec::new());
    for record in records {
        failures.extend(record.failures);
        for outcome in record.outcomes {
            let like = |one: &&mut Outcome| {
                one.finding.is_none() && same(&one.spec) == same(&outcome.spec)
            };
            match outcomes.iter_mut().find(like) {
                Some(sum) if outcome.finding.is_none() => sum.add(outcome),
                _ => outcomes.push(outcome),
            }
        }
    }
    let elapsed = Duration::from_secs_f64(seconds.max(0.0));
    Results { plan, outcomes, failures, interrupted, elapsed }
}
