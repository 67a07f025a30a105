//! What is printed: tables for a terminal, the same in Markdown, or JSON.

use std::io;

use comfy_table::Cell;
use drystone_checker::checks::Check;
use drystone_harness::bounds::Bound;
use drystone_harness::output;
use drystone_harness::output::format::Printing;
use drystone_harness::output::table::{Shape, Table};
use drystone_harness::seed::Seed;
use drystone_harness::text::units;
use drystone_measure::bench::launch::Failure;
use drystone_measure::bench::print::table::{bounds as bounds_table, of_figures};
use serde::Serialize;

use crate::cmd::cost::campaign::{Measured, Results};
use crate::cmd::cost::cli::BLOCKS;
use crate::cmd::cost::judge::Figure;

/// Writes what was measured and judged to standard output.
///
/// # Errors
/// Standard output can't be written.
pub fn results(results: &Results, bounds: &[Bound], printing: Printing) -> io::Result<()> {
    output::print(
        printing,
        |shape, colored| tables(results, bounds, shape, colored),
        || json(results, bounds),
    )
}

fn tables(results: &Results, bounds: &[Bound], shape: Shape, colored: bool) -> String {
    let page = Page { results, shape, colored };
    let mut text = page.speeds() + &page.costs() + &page.memory();
    text += &bounds_table(bounds, shape, colored, "Bounds");
    for (name, measured) in page.allocators() {
        if let Some(failure) = &measured.failure {
            text += &format!("{name} failed: {}\n", failure.detail);
        }
    }
    text
}

struct Page<'a> {
    results: &'a Results,
    shape: Shape,
    colored: bool,
}

impl Page<'_> {
    fn allocators(&self) -> impl Iterator<Item = (&str, &Measured)> {
        let names = self.results.plan.allocators.iter().map(|spec| spec.allocator.as_str());
        names.zip(&self.results.allocators)
    }

    fn table(&self, columns: &[&str]) -> Table {
        of_figures(self.shape, self.colored, columns)
    }

    fn speeds(&self) -> String {
        let columns = ["allocator", "without checks", "with all", "left", "quartiles"];
        let mut table = self.table(&columns);
        for (name, measured) in self.allocators() {
            let [off, on] = measured.speeds();
            let rate = |figure: Option<Figure>| {
                figure.map_or("–".to_owned(), |one| units::rate(one.median))
            };
            let left = measured.left();
            table.row([
                Cell::new(name),
                Cell::new(rate(off)),
                Cell::new(rate(on)),
                Cell::new(
                    left.map_or("–".to_owned(), |one| format!("{:.1} %", 100.0 * one.median)),
                ),
                Cell::new(left.map_or("–".to_owned(), |one| {
                    format!("{:.1} … {:.1} %", 100.0 * one.low, 100.0 * one.high)
                })),
            ]);
        }
        let plan = &self.results.plan;
        table.under(&format!(
            "Operations per second, {} (medians of {}{} rounds)",
            match plan.threads {
                1 => "1 thread".to_owned(),
                threads => format!("{threads} threads together"),
            },
            if self.results.interrupted { "up to " } else { "" },
            plan.rounds
        ))
    }

    /// A column for each allocator.
    fn costs(&self) -> String {
        let columns: Vec<&str> =
            ["check"].into_iter().chain(self.allocators().map(|(name, _)| name)).collect();
        let mut table = self.table(&columns);
        let mut row = |name: &str, figure: &dyn Fn(&Measured) -> Option<Figure>| {
            let cells =
                self.allocators().map(|(_, measured)| Cell::new(nanoseconds(figure(measured))));
            table.row([Cell::new(name)].into_iter().chain(cells).collect::<Vec<_>>());
        };
        row("(without checks)", &|measured| measured.nanoseconds()[0]);
        for &check in Check::ALL {
            row(check.name(), &|measured| measured.cost(check));
        }
        row("(with all)", &|measured| measured.nanoseconds()[1]);
        table.under(
            "What each check alone adds: nanoseconds of processor time for an operation (medians, \
             and quartiles)",
        )
    }

    fn memory(&self) -> String {
        let [few, many] = BLOCKS.map(|blocks| format!("at {} blocks", units::count(blocks as u64)));
        let mut table = self.table(&["allocator", "for a live block", "besides", &few, &many]);
        for (name, measured) in self.allocators() {
            let Some((each, constant)) = measured.memory() else {
                table.row([name, "–", "–", "–", "–"].map(Cell::new));
                continue;
            };
            let [few, many] = measured.memory.unwrap_or_default().map(units::bytes);
            let constant = units::bytes(constant.max(0.0) as u64);
            table.row([name, &format!("{each:.1} B"), &constant, &few, &many].map(Cell::new));
        }
        table.under("Memory of the checker: all that the harness has for itself")
    }
}

fn nanoseconds(figure: Option<Figure>) -> String {
    match figure {
        Some(Figure { median, low, high }) => format!("{median:.1} ({low:.1} … {high:.1})"),
        None => "–".to_owned(),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    format: &'static str,
    version: u32,
    seed: Seed,
    rounds: u32,
    threads: usize,
    quick: bool,
    interrupted: bool,
    seconds: f64,
    allocators: Vec<AllocatorEntry<'a>>,
    bounds: &'a [Bound],
}

#[derive(Serialize)]
struct AllocatorEntry<'a> {
    allocator: &'a str,
    per_second_without: Option<Figure>,
    per_second_with_all: Option<Figure>,
    left: Option<Figure>,
    nanoseconds_without: Option<Figure>,
    nanoseconds_with_all: Option<Figure>,
    checks: Vec<Cost>,
    bytes_per_live_block: Option<f64>,
    bytes_besides: Option<f64>,
    failure: Option<&'a Failure>,
}

#[derive(Serialize)]
struct Cost {
    check: &'static str,
    about: &'static str,
    nanoseconds: Option<Figure>,
}

fn json(results: &Results, bounds: &[Bound]) -> String {
    let plan = &results.plan;
    let allocator = |(spec, measured): (&'_ crate::model::spec::Spec, &'_ Measured)| {
        (spec.allocator.clone(), measured.clone())
    };
    let allocators: Vec<_> =
        plan.allocators.iter().zip(&results.allocators).map(allocator).collect();
    let allocators = allocators.iter().map(|(name, measured)| {
        let [without, with_all] = measured.speeds();
        let [nanoseconds_without, nanoseconds_with_all] = measured.nanoseconds();
        let cost = |&check: &Check| Cost {
            check: check.name(),
            about: check.about(),
            nanoseconds: measured.cost(check),
        };
        AllocatorEntry {
            allocator: name,
            per_second_without: without,
            per_second_with_all: with_all,
            left: measured.left(),
            nanoseconds_without,
            nanoseconds_with_all,
            checks: Check::ALL.iter().map(cost).collect(),
            bytes_per_live_block: measured.memory().map(|(each, _)| each),
            bytes_besides: measured.memory().map(|(_, constant)| constant),
            failure: measured.failure.as_ref(),
        }
    });
    output::json(&Report {
        format: "drystone-cost-report",
        version: 2,
        seed: plan.seed,
        rounds: plan.rounds,
        threads: plan.threads,
        quick: plan.quick,
        interrupted: results.interrupted,
        seconds: results.elapsed.as_secs_f64(),
        allocators: allocators.collect(),
        bounds,
    })
}
