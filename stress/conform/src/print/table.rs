//! Tables: allocators, semantics, behaviour, misuse, what went wrong.

use comfy_table::{Cell, Color};
use drystone_harness::output::table::{Shape, Table};

use crate::mistake::{Mistake, size_name};
use crate::misuse::score::End;
use crate::outcome::{Outcome, Verdict};
use crate::results::{Results, Scored};
use crate::row::{Check, Row};

/// Everything that was found out.
pub(super) fn results(results: &Results, shape: Shape, colored: bool) -> String {
    let page = Page { results, shape, colored };
    let parts = [
        page.allocators(),
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
        self.results.plan.allocators.iter().map(|allocator| allocator.name.as_str())
    }

    fn allocators(&self) -> String {
        let mut table = self.table(["allocator", "version", "library", "environment"]);
        for allocator in &self.results.plan.allocators {
            let library = match &allocator.library {
                Some(library) => library.display().to_string(),
                None => "the C library's own".to_owned(),
            };
            let env: Vec<String> =
                allocator.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
            table.row([&allocator.name, &allocator.version, &library, &env.join(" ")]);
        }
        table.under("Allocators")
    }

    /// The rows that are judged, each with its source, and how many passed.
    fn semantics(&self) -> String {
        let columns = ["row"].into_iter().chain(self.names()).chain(["source"]);
        let mut table = self.table(columns);
        let mut all = vec![Vec::new(); self.results.plan.allocators.len()];
        for (row, outcomes) in self.results.plan.rows.iter().zip(&self.results.rows) {
            if !matches!(row.check, Check::Judged(_)) {
                continue;
            }
            for (all, outcome) in all.iter_mut().zip(outcomes) {
                all.push(outcome);
            }
            let cells = cells(&table, row, outcomes);
            table.row(cells.into_iter().chain([Cell::new(row.source)]));
        }
        if table.is_empty() {
            return String::new();
        }
        let passed = all.iter().map(|outcomes| Cell::new(passed(outcomes)));
        table.row([Cell::new("passed")].into_iter().chain(passed));
        table.under("Semantics")
    }

    /// The rows in which the sources leave the choice.
    fn behaviour(&self) -> String {
        let mut table = self.table(["row"].into_iter().chain(self.names()));
        let rows = self.results.plan.rows.iter().zip(&self.results.rows);
        let recorded = rows.filter(|(row, _)| matches!(row.check, Check::Recorded(_)));
        for (row, outcomes) in recorded {
            table.row(cells(&table, row, outcomes));
        }
        if table.is_empty() {
            return String::new();
        }
        table.under("Behaviour that the standards leave open: recorded, not judged")
    }

    /// Each allocator's score: mistakes times sizes by how they ended.
    fn totals(&self) -> String {
        let columns = End::COLUMNS.iter().map(|end| end.name());
        let columns = ["allocator"].into_iter().chain(columns);
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
            table.row(cells);
        }
        match self.results.mistakes.is_empty() {
            true => String::new(),
            false => table.under("Misuse, rows by how they ended"),
        }
    }

    /// Mistake by mistake, the sizes at which it ended so.
    fn misuse(&self) -> String {
        let columns = End::COLUMNS.iter().map(|end| end.name());
        let columns = ["mistake", "allocator"].into_iter().chain(columns);
        let mut table = self.table(columns.chain(["not made"]));
        for mistake in Mistake::ALL {
            for (place, allocator) in self.names().enumerate() {
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
                let mut cells = vec![Cell::new(mistake.name()), Cell::new(allocator)];
                for end in End::COLUMNS {
                    let color = match end {
                        End::Reported => Some(Color::Green),
                        End::TwoOwners => Some(Color::Red),
                        _ => None,
                    };
                    cells.push(table.paint(sizes(&[end]), color));
                }
                cells.push(Cell::new(sizes(&End::NOT_MADE)));
                table.row(cells);
            }
        }
        if table.is_empty() {
            return String::new();
        }
        table.under("Misuse, sizes by how it ended")
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
            text += &format!("{bullet}{}, {}: {detail}\n", finding.allocator, finding.row);
        }
        text
    }

    fn table<'a>(&self, columns: impl IntoIterator<Item = &'a str>) -> Table {
        Table::new(self.shape, self.colored, columns)
    }
}

fn cell(table: &Table, outcome: &Outcome) -> Cell {
    let color = match outcome {
        outcome if outcome.is_wrong() => Some(Color::Red),
        Outcome::Said(Verdict::Pass) => Some(Color::Green),
        _ => None,
    };
    table.paint(outcome.word(), color)
}

/// A row's name, and what came of it with each allocator.
fn cells(table: &Table, row: &Row, outcomes: &[Outcome]) -> Vec<Cell> {
    let outcomes = outcomes.iter().map(|outcome| cell(table, outcome));
    [Cell::new(row.name)].into_iter().chain(outcomes).collect()
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
