//! Plots as inline SVG. Each fills its box, whatever its shape: strokes do not scale with it, and
//! words stand outside, where they stay readable.

use maud::{Markup, html};

use super::looks::class;
use crate::decide::{Course, RowJudge, STAKES};
use crate::report::figures::{change, interval};

/// Units across and down.
const SIZE: f64 = 1000.0;

/// From values to units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// Around zero, wide enough for `margin` and for these values, except those that lie beyond
    /// `most`: they end at the edge.
    pub fn around_zero(margin: f64, values: impl Iterator<Item = f64>, most: f64) -> Self {
        let largest = values.filter(|value| value.is_finite()).map(f64::abs).fold(0.0, f64::max);
        let high = largest.min(most).max(1.6 * margin) * 1.06;
        Self { low: -high, high }
    }

    /// Units from the low end, within the box.
    fn at(self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low) * SIZE).clamp(0.0, SIZE)
    }

    /// Units from the top.
    fn down(self, value: f64) -> f64 {
        SIZE - self.at(value)
    }

    /// Its ends, in words.
    pub fn ends(self) -> [String; 2] {
        [change(self.low), change(self.high)]
    }
}

/// A row of the forest: the bands of margin and floor, the interval, the median.
pub fn forest_row(row: &RowJudge, scale: Scale) -> Markup {
    let (values, limits) = (row.judge.values(), row.judge.limits());
    let [low, high] = [values.low(), values.high()].map(|end| scale.at(end));
    let label = format!("{}: {}", row.name, interval(values.low(), values.high()));
    let band = |limit: f64| (scale.at(-limit), scale.at(limit) - scale.at(-limit));
    html! {
        svg class=(class(row.judge.verdict())) viewBox="0 0 1000 1000" preserveAspectRatio="none"
            role="img" aria-label=(label) {
            @for (name, limit) in [("margin", limits.margin), ("floor", limits.floor)] {
                @let (x, width) = band(limit);
                rect class=(name) x=(units(x)) width=(units(width)) y="0" height="1000" {}
            }
            line class="zero" x1="500" x2="500" y1="0" y2="1000" {}
            line class="range" x1=(units(low)) x2=(units(high)) y1="500" y2="500" {}
            @if values.low() < scale.low {
                path class="tip" d="M0 500 L14 280 L14 720 Z" {}
            }
            @if values.high() > scale.high {
                path class="tip" d="M1000 500 L986 280 L986 720 Z" {}
            }
            @if let Some(median) = values.median() {
                (dot(scale.at(median), 500.0, "dot median", None))
            }
        }
    }
}

/// A row's values in order of time, or in their own order: then each is a layout.
pub fn values(row: &RowJudge, course: &Course, sorted: bool) -> Markup {
    let limits = row.judge.limits();
    let mut points: Vec<_> = course.points.iter().collect();
    if sorted {
        points.sort_by(|a, b| a.value.total_cmp(&b.value));
    }
    let scale =
        Scale::around_zero(limits.margin, points.iter().map(|point| point.value), f64::INFINITY);
    let last = course.points.last().map_or(1.0, |point| point.at_s.max(1e-9));
    let step = SIZE / points.len().max(1) as f64;
    let [low, high] = scale.ends();
    html! {
        div class="axis" { span { (high) } }
        svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img"
            aria-label=(format!("{} values of {}", points.len(), row.name)) {
            @for (name, limit) in [("margin", limits.margin), ("floor", limits.floor)] {
                rect class=(name) x="0" width="1000" y=(units(scale.down(limit)))
                    height=(units(scale.down(-limit) - scale.down(limit))) {}
            }
            line class="zero" x1="0" x2="1000" y1="500" y2="500" {}
            @for (at, point) in points.iter().enumerate() {
                @let time = 12.0 + point.at_s / last * (SIZE - 24.0);
                @let x = if sorted { (at as f64 + 0.5) * step } else { time };
                (dot(x, scale.down(point.value), "dot", Some(title(point))))
            }
        }
        div class="axis" { span { (low) } span { (across(points.len(), last, sorted)) } }
    }
}

fn across(points: usize, last: f64, sorted: bool) -> String {
    match sorted {
        true => format!("{points} pairs of layouts, fastest first"),
        false => format!("0 to {last:.0} s"),
    }
}

fn title(point: &crate::decide::Point) -> String {
    let layout = |seed: Option<u64>| seed.map_or("as given".to_owned(), |seed| seed.to_string());
    let [a, b] = point.layouts.map(layout);
    format!(
        "process {} at {:.0} s: {}; layouts {a} and {b}",
        point.number,
        point.at_s,
        change(point.value)
    )
}

/// The stakes over processes, by their logarithms; the one that gives the verdict crosses the line.
pub fn stakes(course: &Course) -> Markup {
    let all = || course.points.iter().flat_map(|point| point.ln_stakes);
    let high = all().fold(course.ln_wanted, f64::max) * 1.08;
    // A stake that loses falls without end; how far is of no interest.
    let low = all().fold(0.0, f64::min).max(-course.ln_wanted / 2.0) - 0.4;
    let scale = Scale { low, high };
    let n = course.points.len().max(1) as f64;
    let path = |stake: usize| -> String {
        let point = |(at, stakes): (usize, &[f64; 4])| {
            let (x, y) = ((at as f64 + 1.0) / n * SIZE, scale.down(stakes[stake]));
            format!(" L{} {}", units(x), units(y))
        };
        let points = course.points.iter().map(|point| &point.ln_stakes).enumerate();
        points.fold(format!("M0 {}", units(scale.down(0.0))), |path, at| path + &point(at))
    };
    let wanted = units(scale.down(course.ln_wanted));
    html! {
        div class="axis" { span { "stake × " (format!("{:.0}", high.exp())) } }
        svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img"
            aria-label="stakes over processes" {
            line class="grid" x1="0" x2="1000" y1=(units(scale.down(0.0)))
                y2=(units(scale.down(0.0))) {}
            line class="wanted" x1="0" x2="1000" y1=(wanted) y2=(wanted) {}
            @for (stake, class) in CLASSES.iter().enumerate() {
                g class=(class) { path class="path" stroke-dasharray=(DASHES[stake])
                    d=(path(stake)) {} }
            }
        }
        div class="axis" {
            span { "dashed: verdict at × " (format!("{:.0}", course.ln_wanted.exp())) }
            span { (course.points.len()) " processes" }
        }
        div class="key quiet" {
            @for (class, stake) in CLASSES.iter().zip(STAKES) {
                span class=(class) { i class="stroke" {} (stake) }
            }
        }
    }
}

/// The colours of the stakes, by the verdict that each gives.
const CLASSES: [&str; 4] = ["worse", "better", "fine", "open"];
/// Lines that lie over each other still show.
const DASHES: [&str; 4] = ["none", "none", "none", "5 5"];

/// A dot that stays round: a line without length, with round ends.
fn dot(x: f64, y: f64, class: &str, title: Option<String>) -> Markup {
    let (x, y) = (units(x), units(y));
    html! {
        line class=(class) x1=(x) x2=(x) y1=(y) y2=(y) {
            @if let Some(text) = title { title { (text) } }
        }
    }
}

fn units(value: f64) -> String {
    format!("{value:.1}")
}
