//! The report as JSON.

use serde_json::{Value, json};

use crate::mistake::row_name;
use crate::outcome::Outcome;
use crate::results::Results;
use crate::row::Check;

/// The report's version: a reader rejects others.
const VERSION: u32 = 2;

/// All of it, allocators in the order of `allocators` wherever there is one entry each.
pub(super) fn results(results: &Results) -> String {
    let plan = &results.plan;
    let rows = plan.rows.iter().zip(&results.rows).map(|(row, outcomes)| {
        json!({
            "name": row.name,
            "about": row.about,
            "source": row.source,
            "judged": matches!(row.check, Check::Judged(_)),
            "allocators": outcomes,
        })
    });
    let mistakes = plan.mistakes.iter().zip(&results.mistakes).map(|(scoring, entries)| {
        let entries = entries
            .iter()
            .map(|scored| json!({ "score": scored.score, "twin": scored.twin.as_ref().map(twin) }));
        json!({
            "name": row_name(scoring.mistake, scoring.size, false),
            "mistake": scoring.mistake.name(),
            "bytes": scoring.size,
            "allocators": entries.collect::<Vec<Value>>(),
        })
    });
    let findings = results.findings().into_iter().map(|finding| {
        json!({ "row": finding.row, "allocator": finding.allocator, "detail": finding.detail })
    });
    let report = json!({
        "format": "drystone-conform-report",
        "version": VERSION,
        "allocators": plan.allocators,
        "rows": rows.collect::<Vec<Value>>(),
        "mistakes": mistakes.collect::<Vec<Value>>(),
        "findings": findings.collect::<Vec<Value>>(),
        "interrupted": results.interrupted,
    });
    format!("{report:#}\n")
}

fn twin(outcome: &Outcome) -> Value {
    serde_json::to_value(outcome).expect("an outcome has no keys but strings")
}
