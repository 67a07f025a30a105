//! Tables and numbers, as all commands print them.

use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{Attribute, Cell, CellAlignment, Table};
use drystone_workloads::cli::printing::{Format, Printing};

/// A table without a newline at its end. Columns from the one numbered `figures` on are numbers.
pub fn table<const N: usize>(
    printing: Printing,
    heads: [&str; N],
    figures: usize,
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let color = printing.format == Format::Table && printing.color.is_on();
    let head = |text: &str| match color {
        true => Cell::new(text).add_attribute(Attribute::Bold),
        false => Cell::new(text),
    };
    let mut table = Table::new();
    table.load_style(match printing.format {
        Format::Markdown => ASCII_MARKDOWN,
        _ => NOTHING,
    });
    table.set_header(heads.map(head));
    if color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    for row in rows {
        table.add_row(row.into_iter().enumerate().map(|(place, text)| match place < figures {
            true => Cell::new(text),
            false => Cell::new(text).set_alignment(CellAlignment::Right),
        }));
    }
    let lines = table.to_string();
    lines.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// A table for a document, where padding would make lines that nobody can read; without a newline
/// at its end. Columns from the one numbered `figures` on are numbers.
pub fn markdown<const N: usize>(
    heads: [&str; N],
    figures: usize,
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rules: String =
        (0..N).map(|place| if place < figures { "---|" } else { "---:|" }).collect();
    let rows = rows.into_iter().map(|row| format!("\n| {} |", row.join(" | ")));
    format!("| {} |\n|{rules}{}", heads.join(" | "), rows.collect::<String>())
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
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
