//! Plots as inline SVG that fill their box, whatever its shape; words stand outside.

use maud::{Markup, html};

/// Units across and down.
const SIZE: f64 = 1000.0;
/// Room at both ends, so that a dot is never cut.
const EDGE: f64 = 25.0;

/// From positive values to units, by their logarithms.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// From the least to the greatest of the positive values; none of none.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let logarithms = values.filter(|value| *value > 0.0 && value.is_finite()).map(f64::ln);
        let (low, high) = logarithms
            .map(|value| (value, value))
            .reduce(|(low, high), (value, _)| (low.min(value), high.max(value)))?;
        // Values that are nearly equal are not to look as if they were not.
        let middle = (low + high) / 2.0;
        let half = ((high - low) / 2.0).max(0.05);
        Some(Self { low: middle - half, high: middle + half })
    }

    /// The least that it shows.
    pub fn low(self) -> f64 {
        self.low.exp()
    }

    /// The greatest.
    pub fn high(self) -> f64 {
        self.high.exp()
    }

    /// Units from the low end.
    fn at(self, value: f64) -> f64 {
        let part = (value.ln() - self.low) / (self.high - self.low);
        EDGE + part.clamp(0.0, 1.0) * (SIZE - 2.0 * EDGE)
    }
}

/// A colour of its own for each allocator; past the last they begin again, dashed.
pub fn hue(place: usize) -> String {
    let dashed = if place >= HUES { " dashed" } else { "" };
    format!("hue{}{dashed}", place % HUES)
}

const HUES: usize = 6;

/// A dot, with its interval.
pub fn dot(scale: Scale, value: f64, ends: Option<[f64; 2]>, label: &str) -> Markup {
    let at = units(scale.at(value));
    html! {
        svg class="dots" viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img"
            aria-label=(label) {
            title { (label) }
            line class="grid" x1="0" x2="1000" y1="500" y2="500" {}
            @if let Some([low, high]) = ends {
                line class="range" x1=(units(scale.at(low))) x2=(units(scale.at(high)))
                    y1="500" y2="500" {}
            }
            line class="dot median" x1=(at) x2=(at) y1="500" y2="500" {}
        }
    }
}

/// A bar, from nothing to all.
pub fn bar(part: f64, label: &str) -> Markup {
    html! {
        svg class="dots" viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img"
            aria-label=(label) {
            title { (label) }
            rect class="bar" x="0" y="200" height="600"
                width=(units(part.clamp(0.0, 1.0) * SIZE)) {}
        }
    }
}

/// A curve through the points that there are, at equal steps.
pub fn curve(scale: Scale, points: &[Option<f64>]) -> Markup {
    let step = SIZE / points.len().max(1) as f64;
    let path = points.iter().enumerate().filter_map(|(at, point)| {
        let x = units((at as f64 + 0.5) * step);
        point.map(|value| format!("{x} {}", units(SIZE - scale.at(value))))
    });
    html! { path class="path" d=(format!("M{}", path.collect::<Vec<_>>().join(" L"))) {} }
}

/// A course over time, from zero to the most of all courses; the time and the value of each point.
pub fn course(points: &[[f64; 2]], last: f64, most: f64) -> Markup {
    let path = points.iter().map(|[time, value]| {
        let (x, y) = (time / last.max(1e-9) * SIZE, SIZE - value / most.max(1.0) * (SIZE - EDGE));
        format!("{} {}", units(x), units(y))
    });
    html! { path class="path" d=(format!("M{}", path.collect::<Vec<_>>().join(" L"))) {} }
}

fn units(value: f64) -> String {
    format!("{value:.1}")
}
