//! The sentence on top.

use super::figures::count;
use crate::decide::{Judged, Verdict};
use crate::evidence::Ended;

/// One sentence that says it all.
pub fn sentence(judged: &Judged) -> String {
    let (a, b) = (&judged.header.a.name, &judged.header.b.name);
    if judged.why() == Some(Ended::Identical) {
        if judged.header.settings.rows.is_empty() {
            return format!("Only other libraries of {a} and {b} were asked for; none differs.");
        }
        return format!(
            "{a} and {b} are identical: equal code, equal symbols. Nothing to measure."
        );
    }
    let nulls = judged.tables.null_failures();
    if !nulls.is_empty() {
        return format!(
            "This machine can't be trusted now: {a} beside itself differs by more than the floor \
             ({}).",
            nulls.join(", ")
        );
    }
    let findings = judged.new_findings().len();
    if findings > 0 {
        return format!("{b} is WRONG where {a} was not: {}.", count(findings, "finding"));
    }
    let worse = judged.regressions();
    if !worse.is_empty() {
        return format!("{b} REGRESSED against {a}: {}.", worse.join(", "));
    }
    if judged.tables.rows.is_empty() {
        let lanes: Vec<&str> =
            judged.header.settings.lanes.iter().map(|lane| lane.name()).collect();
        return format!("{b} is no worse than {a} in {}; time was not measured.", lanes.join(", "));
    }
    let counts = judged.tables.count();
    let of = |verdict| counts.get(&verdict).copied().unwrap_or_default();
    let rows = judged.tables.rows.len();
    let better = match of(Verdict::Improved) {
        0 => String::new(),
        improved => format!("; {} IMPROVED", count(improved, "row")),
    };
    match of(Verdict::Inconclusive) {
        0 => format!("{b} is not slower than {a}: judged {rows} of {rows} rows{better}."),
        open => {
            format!("{b} can't be told from {a} yet in {open} of {}{better}.", count(rows, "row"))
        }
    }
}
