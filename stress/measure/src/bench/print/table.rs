//! Tables: time, peak, faults, scaling, bounds.

use comfy_table::{Cell, Color};
use drystone_harness::bounds::{Bound, Verdict};
use drystone_harness::output::table::{Shape, Table};
use drystone_harness::stats::{apart, median};
use drystone_harness::text::units;

use crate::bench::bounds::{SMALLEST_PEAK, WIDEST_SPREAD};
use crate::bench::campaign::{Results, RowResults};
use crate::bench::instructions::Count;
use crate::bench::job::Gains;
use crate::bench::means::{self, Figure};
use crate::bench::print::cells::{missing, nanoseconds, whole};
use crate::bench::probe::line;
use crate::bench::suite::{Kind, Row};
use crate::bench::work::pairs;

pub use crate::bench::print::cells::of_figures;

/// Everything that was measured, and the bounds. `looks` are the tables of the runs that look at
/// blocks and calls.
pub fn results(
    results: &Results,
    bounds: &[Bound],
    looks: &str,
    shape: Shape,
    colored: bool,
) -> String {
    let page = Page { results, shape, colored };
    let mut text = page.allocators();
    text += &page.times();
    text += &page.ways();
    text += &page.peaks();
    text += &page.faults();
    text += looks;
    text += &page.scaling();
    text += &page.bounds(bounds);
    text + &page.failures()
}

/// What the allocators execute.
pub fn counts(counts: &[Count], shape: Shape, colored: bool) -> String {
    let names = counts.iter().map(|count| count.allocator.name.as_str());
    let columns: Vec<&str> = ["call"].into_iter().chain(names).collect();
    let mut table = of_figures(shape, colored, &columns);
    for (call, _) in pairs::ALL {
        let figure = |count: &Count| match (count.of(call), &count.failure) {
            (Some(instructions), _) => Cell::new(format!("{instructions:.1}")),
            (None, Some(failure)) => table.paint(&failure.short, Color::Red),
            (None, None) => Cell::new("–"),
        };
        let figures: Vec<Cell> = counts.iter().map(figure).collect();
        table.row([Cell::new(call)].into_iter().chain(figures));
    }
    let heading = "Instructions of a warm pair of this call and a free, the loop's own taken off";
    let mut text = table.under(heading);
    for count in counts {
        if let Some(failure) = &count.failure {
            let first = failure.detail.lines().next().unwrap_or_default();
            text += &format!("{}: {first}\n", count.allocator.name);
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
    fn table(&self, columns: &[&str]) -> Table {
        of_figures(self.shape, self.colored, columns)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.results.plan.allocators.iter().map(|allocator| allocator.name.as_str())
    }

    fn rows(&self) -> impl Iterator<Item = (&Row, &RowResults)> {
        means::rows(self.results)
    }

    fn allocators(&self) -> String {
        let mut table = Table::new(self.shape, self.colored, ["allocator", "version", "library"]);
        for allocator in &self.results.plan.allocators {
            let library = match &allocator.library {
                Some(library) => library.display().to_string(),
                None => "the C library's own".to_owned(),
            };
            table.row([&allocator.name, &allocator.version, &library].map(Cell::new));
        }
        table.under("Allocators")
    }

    fn times(&self) -> String {
        let against = &self.results.plan.allocators[self.results.plan.against].name;
        let spread = |row: &RowResults| {
            let unequal = if row.unequal_ways().is_some() { "†" } else { "" };
            let spread = row.a_a_spread().map_or("–".to_owned(), |spread| {
                let mark = if spread > WIDEST_SPREAD { "*" } else { "" };
                format!("{:.1} %{mark}", 100.0 * spread)
            });
            spread + unequal
        };
        let heading = format!(
            "Time: nanoseconds per call, and times {against}'s (medians of {}{} rounds; not \
             judged: * the A/A spread is above {:.0} %, † a cache line's way differs between \
             allocators by more than {:.1} times)",
            if self.results.interrupted { "up to " } else { "" },
            self.results.plan.rounds,
            100.0 * WIDEST_SPREAD,
            line::WIDEST
        );
        let figure: Figure = RowResults::nanoseconds;
        self.figures("A/A", spread, figure, 0.0, nanoseconds).under(&heading)
    }

    /// How far the processors were apart, in the rows where that was measured.
    fn ways(&self) -> String {
        let fixed = ["row", "least", "median", "greatest", "repeated"];
        let columns: Vec<&str> = fixed.into_iter().chain(self.names()).collect();
        let mut table = self.table(&columns);
        for (row, results) in self.rows() {
            let ways = results.ways();
            let Some(((least, greatest), middle)) = apart(ways.iter().copied()).zip(median(&ways))
            else {
                continue;
            };
            let mut cells = vec![Cell::new(&row.name)];
            cells.extend([least, middle, greatest].map(|way| Cell::new(nanoseconds(way))));
            cells.push(Cell::new(units::count(results.repeats.into())));
            for (allocator, entry) in results.entries.iter().enumerate() {
                cells.push(match entry.way() {
                    Some(way) => Cell::new(nanoseconds(way)),
                    None => missing(&table, results, allocator),
                });
            }
            table.row(cells);
        }
        if table.is_empty() {
            return String::new();
        }
        table.under(
            "A cache line's way from one thread to another, ns: over all measurements of a row, \
             how many were repeated because it changed, and each allocator's median",
        )
    }

    fn peaks(&self) -> String {
        let floor = |row: &RowResults| row.floor().map_or("–".to_owned(), whole);
        let figure: Figure = RowResults::peak;
        let heading = format!(
            "Peak resident set above the driver's own (the floor), KiB; in ratios less than \
             {SMALLEST_PEAK:.0} counts as {SMALLEST_PEAK:.0}"
        );
        let mut table = self.figures("floor", floor, figure, SMALLEST_PEAK, whole);
        let with_floor: Figure = |row, allocator| Some(row.peak(allocator)? + row.floor()?);
        if self.rows().count() > 1 {
            self.add_means(&mut table, "the same with the floor", with_floor, 0.0);
        }
        table.under(&heading)
    }

    /// A row of geometric means of a figure's ratios to one allocator's.
    fn add_means(&self, table: &mut Table, name: &str, figure: Figure, least: f64) {
        let against = self.results.plan.against;
        let rows = self.rows().count();
        let mut cells = vec![Cell::new(name), Cell::new("")];
        for allocator in 0..self.results.plan.allocators.len() {
            let mean = match means::mean(self.results, allocator, figure, least) {
                _ if allocator == against => String::new(),
                // Of other rows than the others' means: said so.
                Some(mean) if mean.rows < rows => format!("{:.2}× of {}", mean.ratio, mean.rows),
                Some(mean) => format!("{:.2}×", mean.ratio),
                None => String::new(),
            };
            cells.push(table.bold(mean));
        }
        table.row(cells);
    }

    fn faults(&self) -> String {
        let columns: Vec<&str> = ["row"].into_iter().chain(self.names()).collect();
        let mut table = self.table(&columns);
        for (row, results) in self.rows() {
            let mut cells = vec![Cell::new(&row.name)];
            for allocator in 0..self.results.plan.allocators.len() {
                cells.push(match results.faults(allocator) {
                    Some(faults) => Cell::new(whole(faults)),
                    None => missing(&table, results, allocator),
                });
            }
            table.row(cells);
        }
        table.under("Minor faults from the row's beginning to its end")
    }

    /// A table of a figure with its ratio to one allocator's, and the ratios' geometric mean.
    fn figures(
        &self,
        beside: &str,
        note: impl Fn(&RowResults) -> String,
        figure: Figure,
        least: f64,
        written: fn(f64) -> String,
    ) -> Table {
        let columns: Vec<&str> = ["row", beside].into_iter().chain(self.names()).collect();
        let mut table = self.table(&columns);
        let against = self.results.plan.against;
        for (row, results) in self.rows() {
            let mut cells = vec![Cell::new(&row.name), Cell::new(note(results))];
            for allocator in 0..self.results.plan.allocators.len() {
                let Some(value) = figure(results, allocator) else {
                    cells.push(missing(&table, results, allocator));
                    continue;
                };
                let base = figure(results, against).filter(|_| allocator != against);
                cells.push(Cell::new(match base {
                    Some(base) => {
                        let ratio = value.max(least) / base.max(least);
                        format!("{} {ratio:.2}×", written(value))
                    }
                    None => written(value),
                }));
            }
            table.row(cells);
        }
        if self.rows().count() > 1 {
            self.add_means(&mut table, "geometric mean", figure, least);
        }
        table
    }

    fn scaling(&self) -> String {
        let rows = self.results.plan.rows.iter().zip(&self.results.rows);
        let Some((_, row)) = rows.into_iter().find(|(row, _)| row.kind == Kind::Scaling) else {
            return String::new();
        };
        let mut table = self.table(&["allocator", "with blocks", "without memory", "kept"]);
        for (allocator, name) in self.names().enumerate() {
            let median = |figure: fn(Gains) -> f64| {
                row.entries[allocator].median(|sample| sample.gains.map_or(f64::NAN, figure))
            };
            let figures = [
                median(|gains| gains.memory),
                median(|gains| gains.registers),
                median(|gains| gains.kept()),
            ];
            let mut cells = vec![Cell::new(name)];
            cells.extend(figures.map(|figure| match figure {
                Some(figure) => Cell::new(format!("{figure:.2}")),
                None => missing(&table, row, allocator),
            }));
            table.row(cells);
        }
        table.under(
            "Two threads against one: what they do more, with private blocks and without memory",
        )
    }

    fn bounds(&self, bounds: &[Bound]) -> String {
        let ours = self.names().next().unwrap_or_default();
        self::bounds(bounds, self.shape, self.colored, &format!("Bounds, judged for {ours}"))
    }

    fn failures(&self) -> String {
        let mut text = String::new();
        for (row, allocator, failure) in self.results.failures() {
            let (before, after) = match self.shape {
                Shape::Table => ("", ""),
                Shape::Markdown => ("- ", ""),
            };
            text += &format!("{before}{allocator}, {row}: {}{after}\n", failure.detail);
        }
        if text.is_empty() { text } else { format!("Failures\n\n{text}") }
    }
}

/// Bounds under a heading, with what was seen and whether they are reached.
pub fn bounds(bounds: &[Bound], shape: Shape, colored: bool, heading: &str) -> String {
    let mut table = Table::new(shape, colored, ["measure", "bound", "seen", "verdict"]);
    for bound in bounds {
        let seen = bound.seen.map_or("–".to_owned(), |seen| format!("{seen:.2}"));
        let verdict = match &bound.verdict {
            Verdict::Met => table.paint("met", Color::Green),
            Verdict::Missed { by } => {
                table.paint(format!("missed by {:.1} %", 100.0 * by), Color::Red)
            }
            Verdict::CannotTell { why } => Cell::new(format!("cannot tell: {why}")),
        };
        table.row([Cell::new(&bound.measure), Cell::new(&bound.bound), Cell::new(seen), verdict]);
    }
    table.under(heading)
}
