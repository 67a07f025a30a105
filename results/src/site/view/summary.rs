//! How each allocator does in all rows together.

use maud::{Markup, html};

use crate::site::input::{Bench, Cell, Conform, Row};
use crate::site::page::table;

/// A line for each allocator.
pub fn summary(bench: &Bench, conform: &[&Conform]) -> Markup {
    let one_thread = |row: &Row| row.threads == Some(1);
    let more_threads = |row: &Row| row.threads.is_some_and(|threads| threads > 1);
    let rows: Vec<Vec<(String, Option<f64>)>> = (0..bench.allocators.len())
        .map(|place| {
            let ratio = |mean: Option<(f64, usize)>| {
                let mean = mean.map(|(mean, _)| mean);
                (mean.map_or("–".to_owned(), |mean| format!("{mean:.2}×")), mean)
            };
            let one = &bench.allocators[place];
            let word = conform.iter().find_map(|conform| conform.word(&one.name));
            vec![
                (one.name.clone(), None),
                ratio(bench.mean(place, Cell::time, |_| true)),
                ratio(bench.mean(place, Cell::time, one_thread)),
                ratio(bench.mean(place, Cell::time, more_threads)),
                ratio(bench.mean(place, Cell::peak, |_| true)),
                ratio(bench.mean(place, Cell::tail, |_| true)),
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
            "Geometric means of ratios to " (bench.against) " over " (bench.rows.len())
            " rows: smaller is better. Time is of a call, peak memory is above the driver's own, "
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
