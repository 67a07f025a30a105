//! How each allocator does in all rows together.

use maud::{Markup, html};

use crate::site::input::{Bench, Cell, Conform, Mean, Row};
use crate::site::page::table;

/// A line for each allocator.
pub fn summary(bench: &Bench, conform: &[&Conform]) -> Markup {
    let all = |_: &Row| true;
    let one_thread = |row: &Row| row.threads == Some(1);
    let more_threads = |row: &Row| row.threads.is_some_and(|threads| threads > 1);
    let peak = |cell: &Cell| cell.peak_above_floor.map(|peak| peak.max(bench.smallest_peak));
    let rows: Vec<Vec<(String, Option<f64>)>> = (0..bench.allocators.len())
        .map(|place| {
            let one = &bench.allocators[place];
            let word = conform.iter().find_map(|conform| conform.word(&one.name));
            vec![
                (one.name.clone(), None),
                ratio(bench, all, bench.mean(place, Cell::time, all)),
                ratio(bench, one_thread, bench.mean(place, Cell::time, one_thread)),
                ratio(bench, more_threads, bench.mean(place, Cell::time, more_threads)),
                ratio(bench, all, bench.mean(place, peak, all)),
                ratio(bench, has_tails, bench.mean(place, Cell::tail, has_tails)),
                (word.unwrap_or("not judged").to_owned(), None),
            ]
        })
        .collect();
    let columns = [
        "allocator",
        "time",
        "one thread",
        "several threads",
        "peak memory",
        "slow calls",
        "reports a double free",
    ];
    html! {
        h2 { "Beside " (bench.against) }
        @if bench.quick {
            p class="worse" { "Short rows, made to try the program: these figures say nothing." }
        }
        @if bench.interrupted { p class="open" { "Stopped before its end." } }
        (table(&columns, &rows))
        p class="quiet" {
            "Geometric means of ratios to " (bench.against) " over "
            (bench.rows_in_the_means().count())
            " rows, or as many as are named: smaller is better. Time is of a call, "
            "peak memory is above the driver's own, "
            "and slow calls are the time that one malloc in a thousand exceeds. A click on a "
            "column's name sorts."
        }
        details class="versions" {
            summary { "Versions" }
            ul {
                @for one in &bench.allocators {
                    li { (one.name) ": " (one.version) }
                }
            }
        }
    }
}

/// Whether anybody's calls were timed in a row.
fn has_tails(row: &Row) -> bool {
    row.allocators.iter().any(|cell| cell.tail().is_some())
}

/// A mean, with the number of its rows where it lacks some of those that are `wanted`.
fn ratio(
    bench: &Bench,
    wanted: impl Fn(&Row) -> bool,
    mean: Option<Mean>,
) -> (String, Option<f64>) {
    let Some(Mean { ratio, rows }) = mean else { return ("–".to_owned(), None) };
    let all = bench.rows_in_the_means().filter(|row| wanted(row)).count();
    let of = if rows < all { format!(" of {rows} rows") } else { String::new() };
    (format!("{ratio:.2}×{of}"), Some(ratio))
}
