//! Times: the forest of all rows, then each row by itself.

use maud::{Markup, html};

use super::looks::class;
use super::plot::{self, Scale};
use crate::decide::{Course, Judged, RowJudge, Verdict, median};
use crate::report::figures::{change, count, interval, percent, time};

/// Changes beyond this, as a logarithm, end at the forest's edge.
const MOST: f64 = 0.4;

/// All rows, worst first, on one scale.
pub fn forest(judged: &Judged) -> Markup {
    let rows = sorted(judged);
    let settings = &judged.header.settings;
    let ends = rows.iter().flat_map(|row| {
        let values = row.judge.values();
        [values.low(), values.high(), values.median().unwrap_or_default()]
    });
    let scale = Scale::around_zero(settings.margin.ln_1p(), ends, MOST);
    let [low, high] = scale.ends();
    html! {
        @if !rows.is_empty() {
            h2 { "Change of time, B against A" }
            div class="key quiet" {
                span { i style="background:var(--floor)" {} "floor, ±" (percent(settings.floor)) }
                span {
                    i style="background:var(--margin)" {}
                    "margin, ±" (percent(settings.margin))
                }
                span { "dot: median; line: interval; right is slower" }
            }
            div class="forest" {
                @for row in &rows {
                    div {
                        b { (row.name) }
                        div class="plot" { (plot::forest_row(row, scale)) }
                        span { (row.judge.values().median().map_or("-".to_owned(), change)) }
                        span class=(class(row.judge.verdict())) { (row.judge.verdict().name()) }
                    }
                }
                div {
                    span {}
                    div class="plot axis" { span { (low) } span { "0" } span { (high) } }
                    span {}
                    span {}
                }
            }
        }
    }
}

/// Worst first; among equals, in the order of the header.
fn sorted(judged: &Judged) -> Vec<&RowJudge> {
    let mut rows: Vec<&RowJudge> = judged.tables.rows.iter().collect();
    rows.sort_by_key(|row| row.judge.verdict());
    rows
}

/// Each row by itself: open where there is something to look at.
pub fn all(judged: &Judged) -> Markup {
    html! {
        @if !judged.tables.rows.is_empty() {
            h2 { "Row by row" }
            @for row in sorted(judged) {
                @let verdict = row.judge.verdict();
                details open[verdict != Verdict::Ok] {
                    summary {
                        b { (row.name) }
                        span class=(class(verdict)) { (verdict.name()) }
                        span class="quiet" { (operation(judged, &row.name)) }
                    }
                    (one(judged, row))
                }
            }
        }
    }
}

fn operation<'a>(judged: &'a Judged, name: &str) -> &'a str {
    let plan = judged.header.settings.rows.iter().find(|plan| plan.name == name);
    plan.map_or("", |plan| &plan.operation)
}

fn one(judged: &Judged, row: &RowJudge) -> Markup {
    let course = Course::of(&row.name, &row.judge, &judged.processes);
    let values = row.judge.values();
    let ns = |side: usize| median(&row.ns[side]).map_or("-".to_owned(), time);
    let null = row.null.values();
    let figures = [
        ("A", ns(0)),
        ("B", ns(1)),
        ("change", values.median().map_or("-".to_owned(), change)),
        ("interval", interval(values.low(), values.high())),
        ("processes", values.len().to_string()),
        (
            "smallest change seen",
            values.smallest_seen(row.judge.limits().floor).map_or("?".to_owned(), change),
        ),
        (
            "A beside itself",
            null.median().map_or("not measured".to_owned(), |median| {
                format!("{} in {}", change(median), count(null.len() as usize, "process"))
            }),
        ),
    ];
    html! {
        dl { @for (name, value) in figures { div { dt { (name) } dd { (value) } } } }
        @if !course.points.is_empty() {
            div class="plots" {
                figure {
                    figcaption { "Values in order of time" }
                    (plot::values(row, &course, false))
                }
                figure { figcaption { "Values by layout" } (plot::values(row, &course, true)) }
                figure { figcaption { "Evidence over processes" } (plot::stakes(&course)) }
            }
        }
    }
}
