//! How often plants were found.

use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::calibration::Rate;
use crate::report::figures::{change, percent, wrapped};

/// What is promised of a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Promise {
    /// At least so often.
    AtLeast(f64),
    /// At most so often.
    AtMost(f64),
}

/// What came of a plant.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// The fraction that it measures, with its interval if there is one.
    pub measures: Option<(f64, Option<[f64; 2]>)>,
    /// What is promised.
    pub promise: Promise,
    /// How often it was found.
    pub rate: Rate,
    /// What else there is to say.
    pub note: String,
}

impl Told {
    /// Whether the promise is shown to be broken: the exact limits exclude it. What is promised
    /// always is broken by one miss.
    pub fn is_broken(&self) -> bool {
        match self.promise {
            Promise::AtLeast(least) if least >= 1.0 => self.rate.found < self.rate.of,
            Promise::AtLeast(least) => self.rate.high < least,
            Promise::AtMost(most) => self.rate.low > most,
        }
    }
}

/// A table, within 80 columns.
pub fn selftest(title: &str, told: &[Told]) -> String {
    let mut table = Table::new();
    table
        .force_no_tty()
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["plant", "measures", "found", "95 % limits", "promised", ""]);
    for one in told {
        table.add_row(cells(one));
    }
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut out = wrapped(title);
    let _ = writeln!(out, "\n{table}");
    out
}

fn cells(one: &Told) -> [String; 6] {
    let measures = one.measures.map_or(String::new(), |(measures, interval)| {
        let ends = interval.map_or(String::new(), |[low, high]| {
            format!(" ({:+.1} … {:+.1})", low * 100.0, high * 100.0)
        });
        change(measures.ln_1p()) + &ends
    });
    let promised = match one.promise {
        Promise::AtLeast(least) if least >= 1.0 => "always".to_owned(),
        Promise::AtLeast(least) => format!("≥ {:.0} %", least * 100.0),
        Promise::AtMost(most) => format!("≤ {:.0} %", most * 100.0),
    };
    let verdict = if one.is_broken() { "BROKEN" } else { "" };
    [
        one.name.clone(),
        measures,
        format!("{} of {}", one.rate.found, one.rate.of),
        format!("{} … {}", percent(one.rate.low), percent(one.rate.high)),
        promised,
        format!("{verdict} {}", one.note).trim().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(promise: Promise, found: u64, [low, high]: [f64; 2]) -> Told {
        let rate = Rate { found, of: 5, low, high };
        Told { name: "x".to_owned(), measures: None, promise, rate, note: String::new() }
    }

    #[test]
    fn a_promise_is_broken_when_the_limits_exclude_it() {
        assert!(!told(Promise::AtLeast(0.9), 4, [0.28, 0.99]).is_broken());
        assert!(told(Promise::AtLeast(0.9), 1, [0.005, 0.72]).is_broken());
        assert!(told(Promise::AtLeast(1.0), 4, [0.28, 0.99]).is_broken());
        assert!(!told(Promise::AtMost(0.02), 1, [0.005, 0.72]).is_broken());
        assert!(told(Promise::AtMost(0.02), 3, [0.14, 0.95]).is_broken());
        let text = selftest("Title.", &[told(Promise::AtMost(0.02), 3, [0.14, 0.95])]);
        assert!(text.contains("3 of 5") && text.contains("BROKEN"), "{text}");
    }
}
