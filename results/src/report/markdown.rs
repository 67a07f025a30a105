//! For a pull request.

use super::beside;
use super::figures::{change, count, interval, time};
use super::sentence::sentence;
use crate::decide::{Judged, RowJudge, Verdict, median};
use crate::evidence::Ended;

/// The report; rows that are fine are folded away.
pub fn markdown(judged: &Judged) -> String {
    let mut out = format!("**{}**\n", escaped(&sentence(judged)));
    if judged.why() == Some(Ended::Identical) {
        return out + &list(beside::also(judged));
    }
    let of = |verdict| -> Vec<&RowJudge> {
        judged.tables.rows.iter().filter(|row| row.judge.verdict() == verdict).collect()
    };
    for verdict in [Verdict::Regressed, Verdict::Inconclusive, Verdict::Improved] {
        let rows = of(verdict);
        if !rows.is_empty() {
            out += &format!("\n### {}\n\n{}", verdict.name(), table(&rows));
        }
    }
    let fine = of(Verdict::Ok);
    if !fine.is_empty() {
        out += &format!(
            "\n<details><summary>{} OK</summary>\n\n{}\n</details>\n",
            count(fine.len(), "row"),
            table(&fine)
        );
    }
    out + &list(beside::lines(judged))
}

fn list(lines: Vec<String>) -> String {
    let begin = if lines.is_empty() { "" } else { "\n" };
    lines.iter().fold(begin.to_owned(), |list, line| list + &format!("- {}\n", escaped(line)))
}

fn table(rows: &[&RowJudge]) -> String {
    let mut out = "| row | A | B | change | interval | processes | sees |\n".to_owned();
    out += "|---|--:|--:|--:|--:|--:|--:|\n";
    for row in rows {
        let values = row.judge.values();
        let ns = |side: usize| median(&row.ns[side]).map_or("-".to_owned(), time);
        out += &format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            escaped(&row.name),
            ns(0),
            ns(1),
            values.median().map_or("-".to_owned(), change),
            interval(values.low(), values.high()),
            values.len(),
            values.smallest_seen(row.judge.limits().floor).map_or("?".to_owned(), change),
        );
    }
    out
}

/// Names come from users: none of their characters is markup.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if matches!(character, '|' | '*' | '_' | '`' | '<' | '>' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}
