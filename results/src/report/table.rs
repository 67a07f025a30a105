//! For a terminal, within 80 columns.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::beside;
use super::figures::{change, interval, percent, time, wrapped};
use super::sentence::sentence;
use crate::decide::{Judged, RowJudge, Verdict, median};
use crate::evidence::Ended;

/// The whole report. With `all`, rows that are fine are listed too.
pub fn table(judged: &Judged, colour: bool, all: bool) -> String {
    let mut out = emphasised(judged, colour);
    if judged.why() == Some(Ended::Identical) {
        return out + &beside::also(judged).iter().map(|line| wrapped(line)).collect::<String>();
    }
    for verdict in Verdict::ALL {
        let rows: Vec<&RowJudge> =
            judged.tables.rows.iter().filter(|row| row.judge.verdict() == verdict).collect();
        if rows.is_empty() {
            continue;
        }
        if verdict == Verdict::Ok && !all {
            let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
            out += &wrapped(&format!(
                "\nOK, within ±{}: {}",
                percent(judged.header.settings.margin),
                names.join(", ")
            ));
            continue;
        }
        out += &format!("\n{}\n{}\n", verdict.name(), rows_table(&rows));
    }
    out.push('\n');
    for line in beside::lines(judged) {
        out += &wrapped(&line);
    }
    out
}

fn emphasised(judged: &Judged, colour: bool) -> String {
    let text = wrapped(&sentence(judged));
    if !colour {
        return text;
    }
    let code = match judged.regressions().is_empty() && judged.new_findings().is_empty() {
        true => "1",
        false => "1;31",
    };
    format!("\x1b[{code}m{}\x1b[0m\n", text.trim_end())
}

fn rows_table(rows: &[&RowJudge]) -> Table {
    let mut table = Table::new();
    table
        .force_no_tty()
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["row", "A", "B", "change", "interval", "n", "sees"]);
    for row in rows {
        let values = row.judge.values();
        let ns = |side: usize| median(&row.ns[side]).map_or("-".to_owned(), time);
        let sees = values.smallest_seen(row.judge.limits().floor);
        table.add_row([
            row.name.clone(),
            ns(0),
            ns(1),
            values.median().map_or("-".to_owned(), change),
            interval(values.low(), values.high()),
            values.len().to_string(),
            sees.map_or("?".to_owned(), change),
        ]);
    }
    for column in 1..7 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
