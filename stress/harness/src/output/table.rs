//! What every report is printed on: a table for a terminal, the same in Markdown, or JSON.

use std::fmt::{self, Display};
use std::io::{self, Write};

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_HORIZONTAL_ONLY};
use comfy_table::{
    Attribute, Cell, CellAlignment, Color as Paint, ContentArrangement, LineStyle, Row, TableStyle,
};
use serde::Serialize;

use crate::output::format::{Format, Printing};

/// For a terminal, or for a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// With lines, and colours if wanted.
    Table,
    /// In Markdown.
    Markdown,
}

impl Shape {
    /// Text that stands below a table as it is.
    pub fn block(self, text: impl Display) -> String {
        match self {
            Shape::Table => format!("\n{text}\n"),
            Shape::Markdown => format!("\n```text\n{text}\n```\n"),
        }
    }
}

/// Writes a report to standard output as it is asked for: `table` is told the shape, and whether to
/// colour.
///
/// # Errors
/// Standard output can't be written.
pub fn print(
    printing: Printing,
    table: impl FnOnce(Shape, bool) -> String,
    json: impl FnOnce() -> String,
) -> io::Result<()> {
    let text = match printing.format {
        Format::Table => table(Shape::Table, printing.color.is_on()),
        Format::Markdown => table(Shape::Markdown, false),
        Format::Json => json(),
    };
    write(&text)
}

/// Writes to standard output. A reader who reads no further has what was wanted.
///
/// # Errors
/// Standard output can't be written.
pub fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// A report for a program.
pub fn json(report: &impl Serialize) -> String {
    serde_json::to_string_pretty(report).expect("all keys are strings") + "\n"
}

/// A table under way. As it is displayed its lines end in blanks; see [`trimmed`](Self::trimmed).
#[derive(Debug)]
pub struct Table {
    table: comfy_table::Table,
    shape: Shape,
    colored: bool,
}

impl Table {
    /// With no line between rows, of which each is one line.
    pub fn new<'a>(
        shape: Shape,
        colored: bool,
        columns: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        const PLAIN: TableStyle = UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none());
        Self::styled(PLAIN, shape, colored, columns)
    }

    /// With a line between rows, and no colours.
    pub fn lined<'a>(shape: Shape, columns: impl IntoIterator<Item = &'a str>) -> Self {
        Self::styled(UTF8_HORIZONTAL_ONLY, shape, false, columns)
    }

    fn styled<'a>(
        style: TableStyle,
        shape: Shape,
        colored: bool,
        columns: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(if shape == Shape::Markdown { ASCII_MARKDOWN } else { style });
        // As wide as it needs to be: a broken row can't be read.
        table.set_content_arrangement(ContentArrangement::Disabled);
        // Whether to colour has been decided.
        table.force_no_tty();
        if colored {
            table.enforce_styling();
        }
        let mut made = Self { table, shape, colored };
        let header: Vec<Cell> = columns.into_iter().map(|column| made.bold(column)).collect();
        made.table.set_header(header);
        made
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl Into<Row>) {
        self.table.add_row(cells);
    }

    /// Columns that hold figures.
    pub fn right(&mut self, columns: impl IntoIterator<Item = usize>) {
        for column in columns {
            if let Some(column) = self.table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// A cell that stands out, where there are colours.
    pub fn bold(&self, text: impl ToString) -> Cell {
        let cell = Cell::new(text);
        if self.colored { cell.add_attribute(Attribute::Bold) } else { cell }
    }

    /// A cell in a colour, where there are colours.
    pub fn paint(&self, text: impl ToString, color: impl Into<Option<Paint>>) -> Cell {
        match color.into().filter(|_| self.colored) {
            Some(color) => Cell::new(text).fg(color),
            None => Cell::new(text),
        }
    }

    /// The table without the blanks that lines end in, and with no end of the last line.
    pub fn trimmed(&self) -> String {
        let lines: Vec<String> =
            self.table.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n")
    }

    /// The table under a heading, with an empty line after it.
    pub fn under(&self, heading: &str) -> String {
        let (hashes, gap) = match self.shape {
            Shape::Table => ("", ""),
            Shape::Markdown => ("### ", "\n"),
        };
        format!("{hashes}{heading}\n{gap}{}\n\n", self.trimmed())
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table.fmt(f)
    }
}
