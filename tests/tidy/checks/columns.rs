//! No line longer than a reader's window.

use std::collections::BTreeMap;

use drystone_tidy::GENERATED_BY;

use crate::violation::Violation;
use crate::workspace::Tree;

/// Columns of a line of a comment or of prose.
const PROSE: usize = 100;
/// rustfmt's own bound, where `rustfmt.toml` names none.
const MAX_WIDTH: usize = 100;
/// Files of other languages that people write here, by the ends of their names.
const OTHERS: &[&str] = &[
    ".c",
    ".cc",
    ".h",
    ".js",
    ".lua",
    ".pl",
    ".py",
    ".sh",
    ".sql",
    ".toml",
    ".yml",
    "Makefile",
    "justfile",
    "/run",
    "/build-libraries",
];
/// Recorded by a tool, or read byte by byte.
const NOT_WRITTEN: &[&str] = &["/snapshots/", "proptest-regressions/"];

/// Lines that are too long. In comments and Markdown, rows of tables, fenced blocks, markers that
/// name a command, and what stands only because of an address are free.
pub fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    let written = |path: &&str| !NOT_WRITTEN.iter().any(|part| path.contains(part));
    for (path, text) in tree.markdown().filter(|(path, _)| written(path)) {
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
        prose(path, lines, "wrap the prose", &mut found);
    }
    for (path, file) in tree.files.iter().filter(|(path, _)| written(&path.as_str())) {
        if OTHERS.iter().any(|end| path.ends_with(end)) {
            for (number, line) in file.text.lines().enumerate() {
                report(path, number + 1, line, PROSE, "wrap it", &mut found);
            }
        }
    }
    let bound = max_width(tree);
    for (path, file, facts) in tree.rust() {
        let lines: Vec<&str> = file.text.lines().collect();
        let comments: BTreeMap<usize, &str> =
            facts.comments.iter().map(|(line, text)| (*line, text.as_str())).collect();
        let of_comments = comments.keys().map(|line| (*line, lines[*line - 1]));
        prose(path, of_comments, "wrap the comment", &mut found);
        for (number, line) in lines.iter().enumerate().map(|(number, line)| (number + 1, line)) {
            if !comments.contains_key(&number) && !facts.in_strings.contains(&number) {
                report(path, number, line, bound, "break the line of code", &mut found);
            }
        }
    }
    found
}

fn max_width(tree: &Tree) -> usize {
    let settings = tree.files.get("rustfmt.toml").map_or("", |file| &file.text);
    let settings: toml::Table = settings.parse().unwrap_or_default();
    let given = settings.get("max_width").and_then(toml::Value::as_integer);
    given.and_then(|width| width.try_into().ok()).unwrap_or(MAX_WIDTH)
}

/// Looks at lines of prose, which may stand in comments.
fn prose<'a>(
    path: &str,
    lines: impl Iterator<Item = (usize, &'a str)>,
    advice: &str,
    found: &mut Vec<Violation>,
) {
    let mut fenced = false;
    let mut last = 0;
    for (number, line) in lines {
        let bare = line.trim_start().trim_start_matches(['/', '!', '*', '#']).trim_start();
        // A fence ends with its comment.
        fenced &= path.ends_with(".md") || number == last + 1;
        last = number;
        if bare.starts_with("```") || bare.starts_with("~~~") {
            fenced = !fenced;
        }
        let code_before = line.find("//").is_some_and(|at| !line[..at].trim().is_empty());
        let in_one_line = bare.starts_with('|') || bare.starts_with(GENERATED_BY);
        if code_before || !(fenced || in_one_line) {
            report(path, number, line, PROSE, advice, found);
        }
    }
}

fn report(
    path: &str,
    number: usize,
    line: &str,
    bound: usize,
    advice: &str,
    found: &mut Vec<Violation>,
) {
    let columns = line.chars().count();
    let addresses = |word: &&str| word.contains("://") || word.contains("](");
    let address: usize = line.split(' ').filter(addresses).map(|word| word.chars().count()).sum();
    if columns - address > bound {
        let says = format!("{columns} columns, {bound} are allowed; {advice}");
        found.push(Violation::new(path, number, says));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::{package, shown};

    #[test]
    fn long_lines_fire_by_what_they_are() {
        let long = "é ".repeat(51);
        let text = format!(
            "//! {long}\n//! | {long} |\n//! ```text\n//! {long}\n//! ```\n// {long}\n\
             const A: &str = \"{long}\";\nconst B: &str = \"\n{long}\n\";\nfn f() {{}} // {long}\n"
        );
        let shown = shown(check(&package(&[("src/lib.rs", &text)])));
        let comments = ["src/lib.rs:1", "src/lib.rs:6", "src/lib.rs:11"];
        for place in comments {
            assert!(shown.contains(&format!("{place}: ")), "{place}\n{shown}");
        }
        assert!(shown.contains("src/lib.rs:7: 121 columns, 100 are allowed; break"), "{shown}");
        assert_eq!(shown.lines().count(), 4, "{shown}");
    }

    #[test]
    fn prose_fires_and_tables_fences_and_addresses_dont() {
        let long = "é ".repeat(51);
        let address = format!("See https://example.org/{} there.", "x".repeat(100));
        let marker = format!("{GENERATED_BY}{long}-->");
        let text = format!("{long}\n| {long} |\n```\n{long}\n```\n{address}\n- {long}\n{marker}\n");
        let planted = package(&[("README.md", &text), ("a.c", &format!("/* {long} */\n"))]);
        let shown = shown(check(&planted));
        assert_eq!(
            shown,
            "README.md:1: 102 columns, 100 are allowed; wrap the prose\n\
             README.md:7: 104 columns, 100 are allowed; wrap the prose\n\
             a.c:1: 108 columns, 100 are allowed; wrap it\n"
        );
    }

    #[test]
    fn the_bound_of_code_is_rustfmts() {
        let line = format!("const A: &str = \"{}\";\n", "x".repeat(90));
        let planted = package(&[("src/lib.rs", &line), ("rustfmt.toml", "max_width = 120\n")]);
        assert_eq!(shown(check(&planted)), "");
        let line = format!("const A: &str = \"{}\";\n", "x".repeat(110));
        let planted = package(&[("src/lib.rs", &line), ("rustfmt.toml", "max_width = 120\n")]);
        let says = "src/lib.rs:1: 129 columns, 120 are allowed; break the line of code\n";
        assert_eq!(shown(check(&planted)), says);
    }
}
