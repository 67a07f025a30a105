//! Markdown, for a pull request.

use super::cells::{COLUMNS, cells};
use super::summary;
use crate::records::judge::{Comparison, Verdict};

/// The comparison as Markdown; what is not `same` in bold.
pub fn markdown(comparison: &Comparison) -> String {
    let mut lines = Vec::new();
    for side in summary::sides(comparison) {
        lines.push(format!("- {}", escape(&side)));
    }
    lines.push(String::new());
    lines.push(line(&COLUMNS.map(str::to_owned)));
    lines.push("|:---|---:|---:|---:|---:|---:|---:|:---|".to_owned());
    for row in &comparison.rows {
        let mut cells = cells(row).map(|cell| escape(&cell));
        cells[0] = format!("`{}`", row.id.replace('|', "\\|"));
        if row.verdict != Verdict::Same {
            let [.., verdict] = &mut cells;
            *verdict = format!("**{verdict}**");
        }
        lines.push(line(&cells));
    }
    for paragraph in summary::summary(comparison) {
        lines.push(String::new());
        lines.push(escape(&paragraph));
    }
    lines.join("\n") + "\n"
}

fn line(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// Keeps a branch's or a file's name from being read as markup.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if matches!(character, '|' | '*' | '_' | '<' | '[' | '`' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
