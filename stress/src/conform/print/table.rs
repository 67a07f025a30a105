//! Tables: subjects, semantics, behaviour, misuse, what went wrong.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_HORIZONTAL_ONLY};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, LineStyle, Table};

use super::super::campaign::{Results, Scored};
use super::super::misuse::mistakes::Mistake;
use super::super::misuse::score::End;
use super::super::outcome::{Outcome, Verdict};
use super::super::rows::{Check, size_name};

/// For a terminal, or for a pull request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// With lines, and colours if wanted.
    Table,
    /// In Markdown.
    Markdown,
}

/// Everything that was found out.
pub fn results(results: &Results, shape: Shape, colored: bool) -> String {
    let page = Page { results, shape, colored };
    let parts = [
        page.subjects(),
        page.semantics(),
        page.behaviour(),
        page.totals(),
        page.misuse(),
        page.findings(),
    ];
    parts.concat()
}

struct Page<'a> {
    results: &'a Results,
    shape: Shape,
    colored: bool,
}

impl Page<'_> {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.results.plan.subjects.iter().map(|subject| subject.name.as_str())
    }

    fn subjects(&self) -> String {
        let mut table = self.table(["subject", "version", "library", "environment"]);
        for subject in &self.results.plan.subjects {
            let library = match &subject.library {
                Some(library) => library.display().to_string(),
                None => "the C library's own".to_owned(),
            };
            let env: Vec<String> =
                subject.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
            table.add_row([&subject.name, &subject.version, &library, &env.join(" ")]);
        }
        self.under("Subjects", &table)
    }

    /// The rows that are judged, each with its source, and how many passed.
    fn semantics(&self) -> String {
        let columns = ["row"].into_iter().chain(self.names()).chain(["source"]);
        let mut table = self.table(columns);
        let mut all = vec![Vec::new(); self.results.plan.subjects.len()];
        for (row, outcomes) in self.results.plan.rows.iter().zip(&self.results.rows) {
            if !matches!(row.check, Check::Judged(_)) {
                continue;
            }
            for (all, outcome) in all.iter_mut().zip(outcomes) {
                all.push(outcome);
            }
            let cells = outcomes.iter().map(|outcome| self.cell(outcome));
            let cells = [Cell::new(row.name)].into_iter().chain(cells);
            table.add_row(cells.chain([Cell::new(row.source)]));
        }
        if table.is_empty() {
            return String::new();
        }
        let passed = all.iter().map(|outcomes| Cell::new(passed(outcomes)));
        table.add_row([Cell::new("passed")].into_iter().chain(passed));
        self.under("Semantics", &table)
    }

    /// The rows in which the sources leave the choice.
    fn behaviour(&self) -> String {
        let mut table = self.table(["row"].into_iter().chain(self.names()));
        let rows = self.results.plan.rows.iter().zip(&self.results.rows);
        let recorded = rows.filter(|(row, _)| matches!(row.check, Check::Recorded(_)));
        for (row, outcomes) in recorded {
            let cells = outcomes.iter().map(|outcome| self.cell(outcome));
            table.add_row([Cell::new(row.name)].into_iter().chain(cells));
        }
        if table.is_empty() {
            return String::new();
        }
        self.under("Behaviour that the standards leave open: recorded, not judged", &table)
    }

    fn cell(&self, outcome: &Outcome) -> Cell {
        let color = match outcome {
            outcome if outcome.is_wrong() => Some(Color::Red),
            Outcome::Said(Verdict::Pass) => Some(Color::Green),
            _ => None,
        };
        self.painted(outcome.word(), color)
    }

    /// Each subject's score: mistakes times sizes by how they ended.
    fn totals(&self) -> String {
        let columns = End::COLUMNS.iter().map(|end| end.name());
        let columns = ["subject"].into_iter().chain(columns);
        let mut table = self.table(columns.chain(["made", "twins passed"]));
        for (place, name) in self.names().enumerate() {
            let scored: Vec<&Scored> =
                self.results.mistakes.iter().map(|entries| &entries[place]).collect();
            let ends: Vec<End> =
                scored.iter().filter_map(|scored| Some(scored.score.as_ref()?.end)).collect();
            let count = |end| ends.iter().filter(|it| **it == end).count();
            let counts = End::COLUMNS.map(count);
            let made: usize = counts.iter().sum();
            let twins: Vec<&Outcome> =
                scored.iter().filter_map(|scored| scored.twin.as_ref()).collect();
            let mut cells = vec![name.to_owned()];
            cells.extend(counts.map(|count| count.to_string()));
            cells.extend([made.to_string(), passed(&twins)]);
            table.add_row(cells);
        }
        match self.results.mistakes.is_empty() {
            true => String::new(),
            false => self.under("Misuse, rows by how they ended", &table),
        }
    }

    /// Mistake by mistake, the sizes at which it ended so.
    fn misuse(&self) -> String {
        let columns = End::COLUMNS.iter().map(|end| end.name());
        let columns = ["mistake", "subject"].into_iter().chain(columns);
        let mut table = self.table(columns.chain(["not made"]));
        for mistake in Mistake::ALL {
            for (place, subject) in self.names().enumerate() {
                let scored = self.results.plan.mistakes.iter().zip(&self.results.mistakes);
                let ends: Vec<(usize, End)> = scored
                    .filter(|(scoring, _)| scoring.mistake == mistake)
                    .filter_map(|(scoring, entries)| {
                        Some((scoring.size, entries[place].score.as_ref()?.end))
                    })
                    .collect();
                if ends.is_empty() {
                    continue;
                }
                let sizes = |wanted: &[End]| {
                    let sizes = ends.iter().filter(|(_, end)| wanted.contains(end));
                    let sizes: Vec<String> = sizes.map(|(size, _)| size_name(*size)).collect();
                    sizes.join(" ")
                };
                let mut cells = vec![Cell::new(mistake.name()), Cell::new(subject)];
                for end in End::COLUMNS {
                    let color = match end {
                        End::Reported => Some(Color::Green),
                        End::TwoOwners => Some(Color::Red),
                        _ => None,
                    };
                    cells.push(self.painted(sizes(&[end]), color));
                }
                cells.push(Cell::new(sizes(&End::NOT_MADE)));
                table.add_row(cells);
            }
        }
        if table.is_empty() {
            return String::new();
        }
        self.under("Misuse, sizes by how it ended", &table)
    }

    fn findings(&self) -> String {
        let findings = self.results.findings();
        if findings.is_empty() {
            return String::new();
        }
        let (heading, bullet) = match self.shape {
            Shape::Table => ("Findings", ""),
            Shape::Markdown => ("### Findings", "- "),
        };
        let mut text = format!("{heading}\n\n");
        for finding in findings {
            let detail = finding.detail.split_whitespace().collect::<Vec<_>>().join(" ");
            text += &format!("{bullet}{}, {}: {detail}\n", finding.subject, finding.row);
        }
        text
    }

    fn table<'a>(&self, columns: impl IntoIterator<Item = &'a str>) -> Table {
        let mut table = Table::new();
        table.load_style(match self.shape {
            Shape::Table => UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()),
            Shape::Markdown => ASCII_MARKDOWN,
        });
        // As wide as it needs to be: a broken row can't be read.
        table.set_content_arrangement(ContentArrangement::Disabled);
        // Whether to colour has been decided.
        table.force_no_tty();
        if self.colored {
            table.enforce_styling();
        }
        let bold = |column: &str| match self.colored {
            true => Cell::new(column).add_attribute(Attribute::Bold),
            false => Cell::new(column),
        };
        table.set_header(columns.into_iter().map(bold));
        table
    }

    fn painted(&self, text: String, color: Option<Color>) -> Cell {
        match color.filter(|_| self.colored) {
            Some(color) => Cell::new(text).fg(color),
            None => Cell::new(text),
        }
    }

    /// The table under a heading, with an empty line after it.
    fn under(&self, heading: &str, table: &Table) -> String {
        let (hashes, gap) = match self.shape {
            Shape::Table => ("", ""),
            Shape::Markdown => ("### ", "\n"),
        };
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        format!("{hashes}{heading}\n{gap}{}\n\n", lines.join("\n"))
    }
}

/// How many passed of all, and how many neither passed nor failed.
fn passed(outcomes: &[&Outcome]) -> String {
    let passed = |outcome: &&&Outcome| ***outcome == Outcome::Said(Verdict::Pass);
    let count = outcomes.iter().filter(passed).count();
    let open = outcomes.iter().filter(|it| !passed(it) && !it.is_wrong()).count();
    match open {
        0 => format!("{count} of {}", outcomes.len()),
        _ => format!("{count} of {}, {open} open", outcomes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passed_counts_as_passed() {
        let [pass, fail] =
            [Verdict::Pass, Verdict::Fail { expected: String::new(), got: String::new() }]
                .map(Outcome::Said);
        let untold = Outcome::Said(Verdict::CannotTell { why: String::new() });
        let missing = Outcome::Said(Verdict::NotOffered { what: String::new() });
        assert_eq!(passed(&[&pass, &pass, &fail]), "2 of 3");
        assert_eq!(passed(&[&pass, &fail, &untold, &missing, &Outcome::Stopped]), "1 of 5, 3 open");
    }
}
