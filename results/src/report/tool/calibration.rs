//! A calibration, as people read it.

use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::calibration::{Calibration, RowCalibration};
use crate::report::figures::{change, percent, wrapped};

/// The whole of it, within 80 columns.
pub fn calibration(made: &Calibration) -> String {
    let wrong = made.false_verdicts;
    let fine = made.fine_rows;
    let mut out = wrapped(&format!(
        "Without a change, {} of {} resampled comparisons had a verdict (true rate {} to {}, with \
         95 % confidence); {} of rows ended OK.",
        wrong.found,
        wrong.of,
        percent(wrong.low),
        percent(wrong.high),
        percent(fine.found as f64 / fine.of.max(1) as f64),
    ));
    let mut table = Table::new();
    table
        .force_no_tty()
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["row", "n", "A/A", "spread", "floor", "dropped", "80 %", "95 %", ""]);
    for row in &made.rows {
        table.add_row(cells(row));
    }
    for column in 1..8 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let _ = writeln!(out, "\n{table}\n");
    out + &wrapped(&format!(
        "{} processes were recorded; {:.0} s pay for {}. 80 %, 95 %: the smallest slow-down found \
         so often with floor {} and margin {}. floor: how far this tool may be off by itself. \
         dropped: pairs of slices that met a context switch.",
        made.processes,
        made.budget_s,
        made.budget_processes,
        percent(made.floor),
        percent(made.margin),
    ))
}

fn cells(row: &RowCalibration) -> [String; 9] {
    let seen = |value: Option<f64>| value.map_or("> +50 %".to_owned(), |v| change(v.ln_1p()));
    [
        row.name.clone(),
        row.processes.to_string(),
        format!("{:+.2} %", row.median.exp_m1() * 100.0),
        percent(row.spread),
        row.floor.map_or("?".to_owned(), |floor| format!("{:.2} %", floor * 100.0)),
        percent(row.dropped),
        seen(row.sees_80),
        seen(row.sees_95),
        if row.bimodal { "two heaps".to_owned() } else { String::new() },
    ]
}
