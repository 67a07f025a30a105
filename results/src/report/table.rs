//! For a terminal, within 80 columns.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::figures::{change, interval, kib, percent, time};
use super::sentence::{count, sentence};
use crate::decide::{Judged, RowJudge, Verdict, median};
use crate::evidence::Ended;

/// The whole report. With `all`, rows that are fine are listed too.
pub fn table(judged: &Judged, colour: bool, all: bool) -> String {
    let mut out = emphasised(judged, colour);
    if judged.why() == Some(Ended::Identical) {
        return out;
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
    out += &beside(judged);
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

/// What stands beside the times.
fn beside(judged: &Judged) -> String {
    let mut out = "\n".to_owned();
    let counts = judged.tables.count();
    let open = counts.get(&Verdict::Inconclusive).copied().unwrap_or_default();
    let rows = judged.tables.rows.len();
    let mean =
        judged.geometric_mean().map(|mean| format!("; geometric mean {}", change(mean.ln())));
    out += &wrapped(&format!(
        "time: judged {} of {rows} rows{}",
        rows - open,
        mean.unwrap_or_default()
    ));
    for tail in &judged.tables.tails {
        let per_million = |side: usize| {
            let (slow, calls) = tail.counts[side];
            slow as f64 / calls as f64 * 1e6
        };
        out += &wrapped(&format!(
            "tail: {} over {} µs: {:.1} and {:.1} a million calls, {}",
            tail.row,
            tail.over_us,
            per_million(0),
            per_million(1),
            tail.judge.verdict().name()
        ));
    }
    for memory in &judged.memory {
        let shown =
            |value: f64| if memory.figure == "faults" { format!("{value:.0}") } else { kib(value) };
        out += &wrapped(&format!(
            "memory: {} {}: {} and {}, {}",
            memory.row,
            memory.figure,
            shown(memory.medians[0]),
            shown(memory.medians[1]),
            memory.verdict.name()
        ));
    }
    out + &wrapped(&machine(judged))
}

fn machine(judged: &Judged) -> String {
    let processes = &judged.processes;
    let nulls = processes.iter().filter(|process| process.null).count();
    let load = median(&processes.iter().map(|process| process.load).collect::<Vec<_>>());
    let steal = median(&processes.iter().map(|process| process.steal).collect::<Vec<_>>());
    let rows = || processes.iter().flat_map(|process| &process.rows);
    let (pairs, dropped): (u32, u32) =
        rows().fold((0, 0), |(pairs, dropped), row| (pairs + row.pairs, dropped + row.dropped));
    let dropped = f64::from(dropped) / f64::from((pairs + dropped).max(1));
    let last = processes.last().map_or(0.0, |process| process.at_s);
    format!(
        "machine: {}, {} of A beside itself; {last:.0} s; load {:.1}, steal {}, pairs dropped {}",
        count(processes.len(), "process").replace("processs", "processes"),
        nulls,
        load.unwrap_or_default(),
        percent(steal.unwrap_or_default()),
        percent(dropped),
    )
}

/// A line's end, and lines of at most 80 columns.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        let length = word.trim_start_matches('\n').chars().count();
        if width > 0 && width + 1 + length > 80 {
            out.push_str("\n  ");
            width = 2;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out.push('\n');
    out
}
