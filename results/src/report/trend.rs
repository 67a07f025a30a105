//! Figures over history: a table, and a page with a plot each.

use std::fmt::Write;

use comfy_table::{ContentArrangement, Table, presets};
use maud::html;

use super::figures::wrapped;
use super::html::frame::page;
use crate::decide::{Judged, change_points};

/// A figure over comparisons.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// Its value, by the number of the comparison.
    pub values: Vec<(usize, f64)>,
    /// The comparisons at which a new level begins.
    pub changes: Vec<usize>,
}

impl Series {
    /// One for each figure that any comparison has; changes are looked for in each.
    pub fn all(history: &[&Judged]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (at, judged) in history.iter().enumerate() {
            for (name, value) in figures(judged) {
                let known = all.iter().position(|series| series.name == name);
                let place = known.unwrap_or_else(|| {
                    all.push(Self { name, values: Vec::new(), changes: Vec::new() });
                    all.len() - 1
                });
                all[place].values.push((at, value));
            }
        }
        for series in &mut all {
            let values: Vec<f64> = series.values.iter().map(|(_, value)| *value).collect();
            // Of another program a row is another row: a change there is the program's.
            series.changes =
                change_points(&values).into_iter().map(|place| series.values[place].0).collect();
        }
        all
    }
}

/// Times as ratios to A; instructions and memory of B as they are. Of a library besides no times:
/// its A is not looked at.
fn figures(judged: &Judged) -> Vec<(String, f64)> {
    let own = judged.tables.rows.iter().filter(|row| judged.header.is_own(&row.name));
    let times = own.filter_map(|row| {
        Some((format!("{} time / reference", row.name), row.judge.values().median()?.exp()))
    });
    let counts = judged
        .instructions
        .iter()
        .map(|counted| (format!("{} instructions", counted.row), counted.counts[1]));
    let peaks = judged.memory.iter().filter(|memory| memory.figure == "peak");
    let peaks = peaks.map(|memory| (format!("{} peak KiB", memory.row), memory.medians[1]));
    times.chain(counts).chain(peaks).collect()
}

/// What every form of it says.
const NOTE: &str = "Levels are told apart by the energy distance of Matteson and James (2014), \
                    with five comparisons a side at least: history to look at, never a gate.";

/// For a terminal: the first and the last value of each figure, its course, and its changes.
pub fn trend(history: &[&Judged], series: &[Series]) -> String {
    let mut table = Table::new();
    table
        .force_no_tty()
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["figure", "first", "last", "course", "new level at"]);
    for one in series {
        let values: Vec<f64> = one.values.iter().map(|(_, value)| *value).collect();
        let shown = |value: Option<&f64>| value.map_or(String::new(), |value| number(*value));
        table.add_row([
            one.name.clone(),
            shown(values.first()),
            shown(values.last()),
            sparks(&values),
            changes(history, one),
        ]);
    }
    let title = format!("{} comparisons with one reference.", history.len());
    let mut out = wrapped(&title);
    let _ = writeln!(out, "\n{table}\n");
    out + &wrapped(NOTE)
}

fn changes(history: &[&Judged], series: &Series) -> String {
    let name = |at: &usize| {
        let side = &history[*at].header.b;
        side.commit.as_deref().map_or(side.name.clone(), |hash| hash.chars().take(9).collect())
    };
    series.changes.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn number(value: f64) -> String {
    if value < 10.0 { format!("{value:.3}") } else { format!("{value:.0}") }
}

/// The last 24 values in eight heights.
fn sparks(values: &[f64]) -> String {
    let values = &values[values.len().saturating_sub(24)..];
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let step = |value: &f64| match high > low {
        true => ((value - low) / (high - low) * 7.0).round() as u32,
        false => 3,
    };
    values.iter().filter_map(|value| char::from_u32(0x2581 + step(value))).collect()
}

/// The same as a page, self-contained.
pub fn trend_page(history: &[&Judged], series: &[Series]) -> String {
    let content = html! {
        h1 { (history.len()) " comparisons with one reference" }
        p class="quiet" { (NOTE) }
        div class="plots" {
            @for one in series {
                figure {
                    figcaption { b { (one.name) } }
                    (plot(history.len(), one))
                    figcaption {
                        @if one.changes.is_empty() { "one level" }
                        @else { "new level at " (changes(history, one)) }
                    }
                }
            }
        }
    };
    page("Trend", &content)
}

fn plot(comparisons: usize, series: &Series) -> maud::Markup {
    let values = || series.values.iter().map(|(_, value)| *value);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let x = |at: usize| format!("{:.1}", (at as f64 + 0.5) / comparisons.max(1) as f64 * 1000.0);
    let y = |value: f64| {
        let part = if high > low { (value - low) / (high - low) } else { 0.5 };
        format!("{:.1}", 950.0 - 900.0 * part)
    };
    html! {
        div class="axis" { span { (number(high)) } }
        svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=(series.name) {
            @for at in &series.changes {
                line class="wanted" x1=(x(*at)) x2=(x(*at)) y1="0" y2="1000" {}
            }
            @for (at, value) in &series.values {
                line class="dot better" x1=(x(*at)) x2=(x(*at)) y1=(y(*value)) y2=(y(*value)) {}
            }
        }
        div class="axis" { span { (number(low)) } }
    }
}
