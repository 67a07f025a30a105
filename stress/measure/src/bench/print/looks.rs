//! Tables of the runs that look at blocks and calls.

use comfy_table::Cell;
use drystone_harness::output::table::{Shape, Table};

use crate::bench::campaign::{Entry, Results, RowResults};
use crate::bench::means;
use crate::bench::print::cells::{missing, of_figures, whole};
use crate::bench::probe::latency::{KINDS, Percentiles};
use crate::bench::probe::memory::Memory;

const KIB: f64 = 1024.0;
/// Fewer live bytes, and the process itself is all that is seen.
const FEWEST_LIVE: u64 = 512 << 10;

/// All of them.
pub(super) fn tables(results: &Results, shape: Shape, colored: bool) -> String {
    fragmentation(results, shape, colored)
        + &drained(results, shape, colored)
        + &latencies(results, shape, colored)
}

/// What is resident for each live byte where most are live, in the rows where that says something.
fn fragmentation(results: &Results, shape: Shape, colored: bool) -> String {
    let mut table = beside(results, shape, colored, &["row", "live"]);
    for (row, figures) in means::rows(results) {
        let memories = figures.entries.iter().filter_map(|entry| entry.memory);
        let Some(live) = memories.map(|memory| memory.live).min() else { continue };
        if live >= FEWEST_LIVE {
            let first = [Cell::new(&row.name), Cell::new(whole(live as f64 / KIB))];
            let ratio = |memory: Memory| format!("{:.2}", memory.fragmentation());
            table.row(first.into_iter().chain(cells(&table, figures, ratio)));
        }
    }
    shown(&table, "Resident bytes for each live one, at one instant: where most are live (KiB)")
}

/// What is resident when nothing is live any more.
fn drained(results: &Results, shape: Shape, colored: bool) -> String {
    let mut table = beside(results, shape, colored, &["row"]);
    for (row, figures) in means::rows(results) {
        if figures.entries.iter().any(|entry| entry.memory.is_some()) {
            let kib = |memory: Memory| whole(memory.drained as f64 / KIB);
            let first = [Cell::new(&row.name)];
            table.row(first.into_iter().chain(cells(&table, figures, kib)));
        }
    }
    shown(&table, "Drained: resident when the last block has just been freed, KiB")
}

/// How long calls take: all figures of the first allocator, one of the one that ratios are to.
fn latencies(results: &Results, shape: Shape, colored: bool) -> String {
    let plan = &results.plan;
    let against = &plan.allocators[plan.against].name;
    let other = format!("{against} 99.9 %");
    let fixed = ["row", "call", "50 %", "99 %", "99.9 %", "99.99 %", "longest"];
    let columns: Vec<&str> =
        fixed.into_iter().chain((plan.against > 0).then_some(other.as_str())).collect();
    let mut table = of_figures(shape, colored, &columns);
    for (row, figures) in means::rows(results) {
        let ours = figures.entries[0].latency();
        let others = figures.entries[plan.against].latency();
        for (call, (ours, other)) in KINDS.iter().zip(ours.into_iter().zip(others)) {
            let Some(Percentiles { p50, p99, p99_9, p99_99, max, .. }) = ours else { continue };
            let mut cells = vec![Cell::new(&row.name), Cell::new(call)];
            cells.extend([Some(p50), p99, p99_9, p99_99, Some(max)].map(time));
            if plan.against > 0 {
                cells.push(time(other.and_then(|other| other.p99_9)));
            }
            table.row(cells);
        }
    }
    let clocks = results.rows.iter().flat_map(|row| &row.entries[0].latencies);
    let clock = clocks.map(|latencies| latencies.clock).max().unwrap_or_default();
    let ours = &plan.allocators[0].name;
    shown(
        &table,
        &format!(
            "Calls of {ours}: how long so many take at most, ns, each timed by itself in runs of \
             their own; up to {clock} ns of each figure are the clock's own"
        ),
    )
}

/// A table with a column for each allocator.
fn beside(results: &Results, shape: Shape, colored: bool, first: &[&str]) -> Table {
    let names = results.plan.allocators.iter().map(|allocator| allocator.name.as_str());
    let columns: Vec<&str> = first.iter().copied().chain(names).collect();
    of_figures(shape, colored, &columns)
}

fn cells(table: &Table, row: &RowResults, figure: impl Fn(Memory) -> String) -> Vec<Cell> {
    let cell = |(allocator, entry): (usize, &Entry)| match entry.memory() {
        Some(memory) => Cell::new(figure(memory)),
        None => missing(table, row, allocator),
    };
    row.entries.iter().enumerate().map(cell).collect()
}

fn time(value: Option<u64>) -> Cell {
    Cell::new(value.map_or("–".to_owned(), |value| whole(value as f64)))
}

fn shown(table: &Table, heading: &str) -> String {
    if table.is_empty() { String::new() } else { table.under(heading) }
}
