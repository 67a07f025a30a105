//! Allocators beside each other, row by row.

use maud::{Markup, html};

use super::plot::{self, Scale, curve};
use super::summary::summary;
use crate::report::{kib, time};
use crate::site::input::{Bench, Cell, Conform, Percentiles, Row};
use crate::site::page::{Page, back, document};

/// The page.
pub fn page(bench: &Bench, conform: &[&Conform], file: String, name: &str) -> Page {
    let (rows, allocators) = (bench.rows.len(), bench.allocators.len());
    let title = format!("Benchmarks: {name}");
    let content = html! {
        (back())
        h1 { (title) }
        (summary(bench, conform))
        (filter(bench))
        h2 { "Times" }
        p class="quiet" {
            "Median of a call over " (bench.rounds) " rounds, and an interval that holds the true "
            "median" (probability(bench)) ": it lies between two of the rounds, and assumes that "
            "rounds are independent. Each row has a scale of its own, by factors."
        }
        div class="rows" { @for row in &bench.rows { (times(bench, row)) } }
        h2 { "Peak memory" }
        p class="quiet" { "Resident at most, above the driver's own." }
        div class="rows wide" { @for row in &bench.rows { (peaks(bench, row)) } }
        (tails(bench))
    };
    Page {
        file,
        about: format!("{allocators} allocators in {rows} rows, {} rounds", bench.rounds),
        text: document(&title, &content),
        title,
    }
}

/// With which probability the intervals hold.
fn probability(bench: &Bench) -> String {
    let cells = bench.rows.iter().flat_map(|row| &row.allocators);
    let least = cells.filter_map(Cell::interval).map(|(_, holds)| holds).reduce(f64::min);
    least.map_or(String::new(), |holds| format!(" with a probability of {:.1} %", holds * 100.0))
}

/// What narrows the page: whose figures, and which rows.
fn filter(bench: &Bench) -> Markup {
    html! {
        form class="filter" hidden {
            fieldset {
                legend { "Allocators" }
                @for one in &bench.allocators {
                    label { input type="checkbox" checked value=(one.name); " " (one.name) }
                }
            }
            label { "Rows with " input type="search" placeholder="ring, thread, …"; }
        }
    }
}

/// A figure of each allocator, a line each.
fn lines(bench: &Bench, row: &Row, lines: &[Option<(Markup, String)>]) -> Markup {
    html! {
        figure class="row" data-row=(row.name) {
            figcaption {
                b { (row.name) }
                @if let Some(threads) = row.threads.filter(|threads| *threads > 1) {
                    " (" (threads) " threads)"
                }
            }
            @for (one, line) in bench.allocators.iter().zip(lines) {
                div class="line" data-allocator=(one.name) {
                    span { (one.name) }
                    @match line {
                        Some((plot, text)) => { (plot) span class="figure" { (text) } },
                        None => { span {} span class="figure quiet" { "failed" } },
                    }
                }
            }
        }
    }
}

fn times(bench: &Bench, row: &Row) -> Markup {
    let ends = |cell: &Cell| cell.interval().map(|(ends, _)| ends);
    let all = row
        .allocators
        .iter()
        .flat_map(|cell| cell.time().into_iter().chain(ends(cell).into_iter().flatten()));
    let scale = Scale::of(all);
    let shown: Vec<_> = bench
        .allocators
        .iter()
        .zip(&row.allocators)
        .map(|(one, cell)| {
            let median = cell.time()?;
            let label = format!("{} in {}: {}", one.name, row.name, time(median));
            Some((plot::dot(scale?, median, ends(cell), &label), time(median)))
        })
        .collect();
    lines(bench, row, &shown)
}

fn peaks(bench: &Bench, row: &Row) -> Markup {
    let most = row.allocators.iter().filter_map(|cell| cell.peak_above_floor).fold(1.0, f64::max);
    let shown: Vec<_> = bench
        .allocators
        .iter()
        .zip(&row.allocators)
        .map(|(one, cell)| {
            let peak = cell.peak_above_floor?;
            let label = format!("{} in {}: {}", one.name, row.name, kib(peak));
            let mut text = kib(peak);
            if let Some(more) = cell.fragmentation {
                text += &format!(", {more:.2} of live");
            }
            Some((plot::bar(peak / most, &label), text))
        })
        .collect();
    lines(bench, row, &shown)
}

/// How long single calls take: a curve for each allocator, in each row that has them.
fn tails(bench: &Bench) -> Markup {
    let of = |cell: &Cell| cell.latency.get("malloc").copied();
    let rows: Vec<&Row> = bench
        .rows
        .iter()
        .filter(|row| row.allocators.iter().any(|cell| of(cell).is_some()))
        .collect();
    html! {
        @if !rows.is_empty() {
            h2 { "Slow calls" }
            p class="quiet" {
                "How long malloc takes: the median, then the time that one call in 100, in 1,000 "
                "and in 10,000 exceeds, then the longest. A curve ends where too few calls were "
                "looked at. By factors."
            }
            div class="plots" {
                @for row in rows {
                    (tail(bench, row, &row.allocators.iter().map(of).collect::<Vec<_>>()))
                }
            }
        }
    }
}

fn tail(bench: &Bench, row: &Row, latencies: &[Option<Percentiles>]) -> Markup {
    let points = |one: &Percentiles| [Some(one.p50), one.p99, one.p99_9, one.p99_99, Some(one.max)];
    let all = latencies.iter().flatten().flat_map(points).flatten();
    let scale = Scale::of(all);
    html! {
        figure data-row=(row.name) {
            figcaption { b { (row.name) } }
            @if let Some(scale) = scale {
                div class="axis" { span { (time(scale.high())) } }
                svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img"
                    aria-label=(format!("how long malloc takes in {}", row.name)) {
                    @for (place, latency) in latencies.iter().enumerate() {
                        @let name = &bench.allocators[place].name;
                        @if let Some(latency) = latency {
                            g class=(plot::hue(place)) data-allocator=(name) {
                                (curve(scale, &points(latency)))
                            }
                        }
                    }
                }
                div class="axis" {
                    span { (time(scale.low())) }
                    span { "p50 p99 p99.9 p99.99 max" }
                }
                div class="key quiet" {
                    @for (place, one) in bench.allocators.iter().enumerate() {
                        span class=(plot::hue(place)) data-allocator=(one.name) {
                            i class="stroke" {} (one.name)
                        }
                    }
                }
            }
        }
    }
}
