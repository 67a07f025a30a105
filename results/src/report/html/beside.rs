//! What stands beside the times: slow calls, memory, instructions, correctness, the machine.

use maud::{Markup, html};

use super::looks::class;
use crate::decide::{Counted, Judged, MemoryJudged, TailJudge};
use crate::report::figures::{change, count, kib, time};

/// All of it.
pub fn all(judged: &Judged) -> Markup {
    html! {
        (table("Slow calls, in a million", TAILS, judged.tables.tails.iter().map(tail)))
        (table("Memory", MEMORY, judged.memory.iter().map(memory)))
        (table("Instructions an operation", COUNTS, judged.instructions.iter().map(counted)))
        (correctness(judged))
    }
}

const TAILS: &[&str] = &["row", "over", "A", "B", "more, interval", "slowest A, B", "verdict"];
const MEMORY: &[&str] = &["workload", "figure", "A", "B", "change", "verdict"];
const COUNTS: &[&str] = &["row", "A", "B", "change", "verdict"];

/// A table whose cells know their column's name: on a phone they stand below each other.
fn table(title: &str, columns: &[&str], rows: impl Iterator<Item = Vec<Markup>>) -> Markup {
    let rows: Vec<Vec<Markup>> = rows.collect();
    html! {
        @if !rows.is_empty() {
            h2 { (title) }
            table {
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (column, cell) in columns.iter().zip(row) {
                                td data-label=(column) { span { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(text: impl AsRef<str>) -> Markup {
    html! { (text.as_ref()) }
}

fn verdict(verdict: crate::decide::Verdict) -> Markup {
    html! { span class=(class(verdict)) { (verdict.name()) } }
}

fn tail(tail: &TailJudge) -> Vec<Markup> {
    let [a, b] =
        tail.counts.map(|(slow, calls)| format!("{:.1}", slow as f64 / calls as f64 * 1e6));
    let values = tail.judge.values();
    let end = |value: f64| if value.is_finite() { format!("{value:+.1}") } else { "?".to_owned() };
    let [slowest_a, slowest_b] = tail.slowest_ns.map(|ns| time(ns as f64));
    vec![
        cell(&tail.row),
        cell(format!("{} µs", tail.over_us)),
        cell(a),
        cell(b),
        cell(format!("{} … {}", end(values.low()), end(values.high()))),
        cell(format!("{slowest_a}, {slowest_b}")),
        verdict(tail.judge.verdict()),
    ]
}

fn memory(memory: &MemoryJudged) -> Vec<Markup> {
    let shown = |value: f64| match memory.figure {
        "faults" => format!("{value:.0}"),
        _ => kib(value),
    };
    let [a, b] = memory.medians;
    vec![
        cell(&memory.row),
        cell(memory.figure),
        cell(shown(a)),
        cell(shown(b)),
        cell(moved(memory.medians)),
        verdict(memory.verdict),
    ]
}

fn counted(counted: &Counted) -> Vec<Markup> {
    let [a, b] = counted.counts;
    vec![
        cell(&counted.row),
        cell(format!("{a:.2}")),
        cell(format!("{b:.2}")),
        cell(moved(counted.counts)),
        verdict(counted.verdict),
    ]
}

/// By how much a figure moved; nothing where there was none.
fn moved([a, b]: [f64; 2]) -> String {
    let ratio = (b / a).ln();
    if ratio.is_finite() { change(ratio) } else { "-".to_owned() }
}

fn correctness(judged: &Judged) -> Markup {
    html! {
        @if !judged.correctness.is_empty() {
            h2 { "Correctness" }
            ul {
                @for (side, said) in &judged.correctness {
                    @let side = side.to_ascii_uppercase();
                    @match &said.skipped {
                        Some(why) => li { (side) " was not tested: " (why) },
                        None => li {
                            (side) ": " (count(said.findings.len(), "finding")) " in "
                            (format!("{:.0} s", said.seconds)) " of stress"
                            @if !said.findings.is_empty() {
                                ul class="worse" { @for text in &said.findings { li { (text) } } }
                            }
                        },
                    }
                }
            }
        }
    }
}
