//! The sentences above and below a table.

use std::collections::BTreeMap;

use crate::records::judge::{Comparison, LEVEL, Side, Verdict};
use crate::records::stats::fewest_per_side;

/// One line per side: what it is and when it was measured.
pub fn sides(comparison: &Comparison) -> [String; 2] {
    let Comparison { a, b, .. } = comparison;
    [format!("A: {}", side(a)), format!("B: {}", side(b))]
}

fn side(side: &Side) -> String {
    let Side { name, record } = side;
    let commit: String = record.commit.chars().take(12).collect();
    let dirty = if record.dirty { " with changes" } else { "" };
    let processes = count(record.processes.len(), "process", "processes");
    format!("{name} ({commit}{dirty}), {processes}, {}", record.date)
}

/// What the rows add up to and how far to believe them, a paragraph each.
pub fn summary(comparison: &Comparison) -> Vec<String> {
    let mut lines = vec![counts(comparison)];
    lines.extend(coverage(comparison));
    lines.extend(chance(comparison));
    lines.extend(no_interval(comparison));
    lines.extend(comparison.notes.iter().map(|note| format!("Note: {note}")));
    lines
}

fn counts(comparison: &Comparison) -> String {
    let counts: Vec<String> = Verdict::ALL
        .into_iter()
        .map(|verdict| (verdict, comparison.count(verdict)))
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| format!("{count} {}", verdict.name()))
        .collect();
    let rows = count(comparison.rows.len(), "benchmark", "benchmarks");
    let percent = comparison.threshold.percent;
    format!("{rows}: {} (threshold {percent} %).", counts.join(", "))
}

/// How often such intervals hold the true change, for each pair of numbers of processes.
fn coverage(comparison: &Comparison) -> Vec<String> {
    let mut kinds: BTreeMap<[usize; 2], (f64, usize)> = BTreeMap::new();
    for row in &comparison.rows {
        if let Some(interval) = row.change.and_then(|change| change.interval) {
            kinds.entry(row.processes).or_insert((interval.coverage, 0)).1 += 1;
        }
    }
    kinds
        .into_iter()
        .map(|([a, b], (coverage, rows))| {
            let coverage = 100.0 * coverage;
            let intervals = count(rows, "interval", "intervals");
            format!(
                "{intervals} over the medians of {a} and {b} processes, each holding the true \
                 change with probability {coverage:.1} %."
            )
        })
        .collect()
}

fn chance(comparison: &Comparison) -> Option<String> {
    let intervals = comparison.intervals().count();
    let misses = comparison.expected_misses();
    (intervals > 0).then(|| {
        format!(
            "By chance alone {misses:.2} of {intervals} are expected to miss it: at most {:.2} \
             wrongly called slower, and as many faster.",
            misses / 2.0
        )
    })
}

fn no_interval(comparison: &Comparison) -> Option<String> {
    let rows: Vec<_> =
        comparison.rows.iter().filter(|row| row.verdict == Verdict::NoInterval).collect();
    let [a, b] = rows.first()?.processes;
    let processes = if rows.iter().any(|row| row.processes != [a, b]) {
        "too few processes".to_owned()
    } else if a == b {
        format!("{} per side", count(a, "process", "processes"))
    } else {
        format!("{} against {b}", count(a, "process", "processes"))
    };
    let needed = fewest_per_side(LEVEL);
    let benchmarks = count(rows.len(), "benchmark", "benchmarks");
    Some(format!("No interval for {benchmarks}: {processes}, at least {needed} needed (--runs)."))
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
