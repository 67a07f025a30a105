//! Printing of a trace's figures.

use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{Attribute, Cell, CellAlignment, Table, TableStyle};
use drystone_workloads::cli::printing::{Format, Printing};
use drystone_workloads::trace::{Summary, Trace};
use serde_json::json;

/// The version of what `--format json` prints.
const JSON_VERSION: u32 = 1;

/// The trace's figures as they are asked for, ending in a newline.
pub fn render(trace: &Trace, summary: &Summary, printing: Printing) -> String {
    match printing.format {
        Format::Json => {
            serde_json::to_string_pretty(&as_json(trace, summary)).expect("no map keys but strings")
                + "\n"
        }
        Format::Markdown => tables(trace, summary, ASCII_MARKDOWN, false),
        Format::Table => tables(trace, summary, NOTHING, printing.color.is_on()),
    }
}

fn as_json(trace: &Trace, summary: &Summary) -> serde_json::Value {
    let kinds: serde_json::Map<_, _> =
        summary.kinds.iter().map(|&(name, count)| (name.to_owned(), json!(count))).collect();
    let size = |class: &drystone_workloads::trace::SizeClass| {
        let (least, most) = (class.least, class.most);
        json!({ "least": least, "most": most, "requests": class.requests })
    };
    let gaps = trace.gaps();
    json!({
        "version": JSON_VERSION,
        "command": trace.command(),
        "operations": trace.ops().len(),
        "kinds": kinds,
        "threads": trace.threads(),
        "blocks": trace.blocks(),
        "peak_live_bytes": trace.peak_live_bytes(),
        "left_blocks": trace.left_blocks(),
        "left_bytes": trace.left_bytes(),
        "handed_over": summary.handed_over,
        "short_lived": summary.short_lived,
        "foreign_frees": gaps.foreign_frees,
        "missed_frees": gaps.missed_frees,
        "holes": gaps.holes,
        "stopped": gaps.stopped,
        "sizes": summary.sizes.iter().map(size).collect::<Vec<_>>(),
    })
}

fn tables(trace: &Trace, summary: &Summary, preset: TableStyle, color: bool) -> String {
    let figures = figures(trace, summary);
    let figures = table(preset, color, ["figure", "value"], figures);
    let kinds = summary.kinds.iter().map(|&(name, count)| (name.to_owned(), grouped(count)));
    let kinds = table(preset, color, ["operation", "count"], kinds);
    let sizes = summary.sizes.iter().map(|class| {
        let range = match class.least == class.most {
            true => grouped(class.least),
            false => format!("{} to {}", grouped(class.least), grouped(class.most)),
        };
        (range, grouped(class.requests))
    });
    let sizes = table(preset, color, ["bytes asked for", "requests"], sizes);
    format!("command: {}\n\n{figures}\n\n{kinds}\n\n{sizes}\n", trace.command())
}

fn figures(trace: &Trace, summary: &Summary) -> Vec<(String, String)> {
    let gaps = trace.gaps();
    let rows: [(&str, u64); 10] = [
        ("operations", trace.ops().len() as u64),
        ("threads", trace.threads().into()),
        ("blocks", trace.blocks().into()),
        ("peak live bytes", trace.peak_live_bytes()),
        ("blocks never freed", trace.left_blocks().into()),
        ("bytes never freed", trace.left_bytes()),
        ("blocks ended by another thread", summary.handed_over),
        ("blocks ended within 8 births", summary.short_lived),
        ("frees of blocks older than the recording", gaps.foreign_frees),
        ("frees that were not seen", gaps.missed_frees),
    ];
    rows.map(|(name, value)| (name.to_owned(), grouped(value))).to_vec()
}

fn table(
    preset: TableStyle,
    color: bool,
    heads: [&str; 2],
    rows: impl IntoIterator<Item = (String, String)>,
) -> String {
    let head = |text: &str| match color {
        true => Cell::new(text).add_attribute(Attribute::Bold),
        false => Cell::new(text),
    };
    let mut table = Table::new();
    table.load_style(preset).set_header(heads.map(head));
    if color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    for (name, value) in rows {
        table.add_row([Cell::new(name), Cell::new(value).set_alignment(CellAlignment::Right)]);
    }
    let lines = table.to_string();
    lines.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
