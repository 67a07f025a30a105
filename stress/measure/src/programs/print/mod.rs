//! What is printed: a table for a terminal, the same in Markdown, or JSON.
//!
//! JSON: one object with `format` "drystone-programs-report" and `version` 2; what is added later
//! leaves the version, what changes its meaning raises it.

use std::collections::BTreeSet;
use std::io;

use comfy_table::{Cell, Color};
use drystone_harness::allocators::Allocator;
use drystone_harness::output;
use drystone_harness::output::format::Printing;
use drystone_harness::output::table::{Shape, Table};
use drystone_harness::text::units;
use serde::Serialize;

use crate::programs::account::Account;
use crate::programs::campaign::{Entry, Results, Row};
use crate::programs::judge::Finding;

/// Writes the report to standard output.
///
/// # Errors
/// Standard output can't be written.
pub fn results(results: &Results, printing: Printing) -> io::Result<()> {
    output::print(printing, |shape, colored| table(results, shape, colored), || json(results))
}

const HEADER: [&str; 9] = [
    "program",
    "allocator",
    "calls served",
    "processes",
    "CPU, glibc",
    "beside it",
    "peak, glibc",
    "beside it",
    "verdict",
];

/// The table, and under it what was found, what is not here, and what can't be told.
pub fn table(results: &Results, shape: Shape, colored: bool) -> String {
    let mut table = Table::new(shape, colored, HEADER);
    for (row, program) in results.rows.iter().zip(&results.plan.programs) {
        let why = match (&row.missing, &row.failure) {
            (Some(_), _) => Some("not here"),
            (_, Some(_)) => Some("cannot tell"),
            _ if row.entries.is_empty() => Some("–"),
            _ => None,
        };
        if let Some(why) = why {
            let mut cells = vec![Cell::new(program.name)];
            cells.extend((1..HEADER.len() - 1).map(|_| Cell::new("–")));
            cells.push(Cell::new(why));
            table.row(cells);
            continue;
        }
        for (entry, allocator) in row.entries.iter().zip(&results.plan.allocators) {
            let verdict = match &entry.finding {
                None if entry.account.processes == 0 => Cell::new("–"),
                None => Cell::new("same"),
                Some(finding) => table.paint(finding.kind.name(), Color::Red),
            };
            let mut cells = vec![Cell::new(program.name), Cell::new(&allocator.name)];
            cells.extend(figures(entry, results.floor).map(Cell::new));
            cells.push(verdict);
            table.row(cells);
        }
    }
    table.right(2..8);
    format!("{}\n{}", table.trimmed(), notes(results, shape))
}

/// Calls, processes, time and peak.
fn figures(entry: &Entry, floor: u64) -> [String; 6] {
    let none = || "–".to_owned();
    let (seconds, slower) = match entry.beside(|usage| usage.cpu) {
        Some((seconds, ratio)) => (format!("{seconds:.2} s"), format!("{ratio:.2}×")),
        None => (none(), none()),
    };
    let (peak, larger) = match entry.beside(|usage| usage.peak as f64) {
        Some((peak, _)) if peak <= floor as f64 => (format!("≤ {}", kib(floor as f64)), none()),
        Some((peak, ratio)) => (kib(peak), format!("{ratio:.2}×")),
        None => (none(), none()),
    };
    let calls = units::count(entry.calls);
    [calls, units::count(entry.account.processes), seconds, slower, peak, larger]
}

fn kib(kib: f64) -> String {
    units::bytes((kib * 1024.0) as u64)
}

fn notes(results: &Results, shape: Shape) -> String {
    let mut lines: Vec<String> = results
        .findings()
        .map(|(program, allocator, finding)| {
            format!("{allocator} in {program}: {}", finding.detail)
        })
        .collect();
    for (row, program) in results.rows.iter().zip(&results.plan.programs) {
        for (entry, allocator) in row.entries.iter().zip(&results.plan.allocators) {
            if entry.finding.is_none() && !entry.flaky.is_empty() {
                let tests = entry.flaky.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                let (allocator, program) = (&allocator.name, program.name);
                lines.push(format!("{allocator} in {program}: flaky, and without it too: {tests}"));
            }
        }
        let why = row.missing.as_ref().or(row.failure.as_ref());
        lines.extend(why.map(|why| format!("{}: {why}", program.name)));
    }
    match lines.is_empty() {
        true => String::new(),
        false => shape.block(lines.join("\n")),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    format: &'static str,
    version: u32,
    rounds: u32,
    calls: u64,
    jobs: usize,
    floor_kib: u64,
    seconds: f64,
    interrupted: bool,
    allocators: &'a [Allocator],
    programs: Vec<OfProgram<'a>>,
}

#[derive(Serialize)]
struct OfProgram<'a> {
    name: &'a str,
    missing: Option<&'a str>,
    failure: Option<&'a str>,
    allocators: Vec<OfAllocator<'a>>,
}

#[derive(Serialize)]
struct OfAllocator<'a> {
    allocator: &'a str,
    calls: u64,
    account: &'a Account,
    rounds: Vec<Pair>,
    flaky: &'a BTreeSet<String>,
    finding: Option<&'a Finding>,
}

/// Seconds and KiB, without the allocator and with it.
#[derive(Serialize)]
struct Pair {
    cpu: [f64; 2],
    wall: [f64; 2],
    peak: [u64; 2],
}

fn json(results: &Results) -> String {
    let of_program = |(row, name): (&'_ Row, &'_ str)| (row.clone(), name.to_owned());
    let rows: Vec<_> = results
        .rows
        .iter()
        .zip(results.plan.programs.iter().map(|program| program.name))
        .map(of_program)
        .collect();
    let programs = rows.iter().map(|(row, name)| OfProgram {
        name,
        missing: row.missing.as_deref(),
        failure: row.failure.as_deref(),
        allocators: row
            .entries
            .iter()
            .zip(&results.plan.allocators)
            .map(|(entry, allocator)| OfAllocator {
                allocator: &allocator.name,
                calls: entry.calls,
                account: &entry.account,
                rounds: entry
                    .rounds
                    .iter()
                    .map(|(without, with)| Pair {
                        cpu: [without.cpu, with.cpu],
                        wall: [without.wall, with.wall],
                        peak: [without.peak, with.peak],
                    })
                    .collect(),
                flaky: &entry.flaky,
                finding: entry.finding.as_ref(),
            })
            .collect(),
    });
    let report = Report {
        format: "drystone-programs-report",
        version: 2,
        rounds: results.plan.rounds,
        calls: results.plan.calls,
        jobs: results.plan.jobs,
        floor_kib: results.floor,
        seconds: results.elapsed.as_secs_f64(),
        interrupted: results.interrupted,
        allocators: &results.plan.allocators,
        programs: programs.collect(),
    };
    output::json(&report)
}

#[cfg(test)]
mod tests;
