//! The table for a terminal.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table};

use super::cells::{COLUMNS, cells};
use super::summary;
use crate::records::judge::{Comparison, Verdict};

/// The comparison as lines of text; verdicts in colour if `colour` is set.
pub fn table(comparison: &Comparison, colour: bool) -> String {
    let mut table = Table::new();
    // Whether to colour has been decided; the table must not look at the terminal for itself.
    table.force_no_tty().load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if colour {
        table.enforce_styling();
    }
    table.set_header(COLUMNS);
    for row in &comparison.rows {
        let mut line = cells(row).map(Cell::new);
        if let Some(colour) = colour_of(row.verdict) {
            let [.., verdict] = &mut line;
            *verdict = Cell::new(row.verdict.name()).fg(colour);
        }
        table.add_row(line);
    }
    for column in table.column_iter_mut().skip(1).take(COLUMNS.len() - 2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut lines = summary::sides(comparison).to_vec();
    lines.push(String::new());
    lines.extend(table.lines().map(|line| line.trim_end().to_owned()));
    lines.push(String::new());
    lines.extend(summary::summary(comparison));
    lines.join("\n") + "\n"
}

fn colour_of(verdict: Verdict) -> Option<Color> {
    match verdict {
        Verdict::Slower | Verdict::MissingInA | Verdict::MissingInB => Some(Color::Red),
        Verdict::Faster => Some(Color::Green),
        Verdict::Unclear | Verdict::NoInterval | Verdict::Apart => Some(Color::Yellow),
        Verdict::Same | Verdict::Peer => None,
    }
}
