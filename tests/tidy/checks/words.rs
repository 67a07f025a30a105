//! One word, one meaning, and the field's word before ours.

use crate::violation::Violation;
use crate::words::{BANNED, Banned, FREE, Where};
use crate::workspace::Tree;

/// What the words are looked for in, by the ends of names: what people write here.
const WRITTEN: &[&str] = &[".rs", ".md", ".toml", ".c", ".cc", ".h", ".sh", ".py", ".yml", "/run"];

/// Banned words in code, comments, documents and names of files.
pub fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    let held = tree.files.iter().filter(|(path, _)| WRITTEN.iter().any(|end| path.ends_with(end)));
    for (path, file) in held.filter(|(path, _)| !FREE.iter().any(|free| path.starts_with(free))) {
        let everywhere = words(&file.text);
        let identifiers: Vec<Word> = file.facts.as_ref().map_or(Vec::new(), |facts| {
            let names = facts.identifiers.iter();
            names.flat_map(|(line, name)| in_line(name, *line, true)).collect()
        });
        let names: Vec<Word> = path
            .split('/')
            .flat_map(|part| in_line(part.split('.').next().unwrap_or_default(), 1, true))
            .collect();
        for banned in BANNED.iter().filter(|banned| !free(banned, path)) {
            let places = match banned.within {
                Where::Everywhere => find(banned, &everywhere),
                Where::Identifiers => find(banned, &identifiers),
                Where::Modules => module(banned, path),
            };
            let named = match banned.within {
                Where::Everywhere => find(banned, &names),
                _ => Vec::new(),
            };
            for (line, word) in places.into_iter().chain(named) {
                let says = format!("write {} instead of \"{word}\"", banned.instead);
                found.push(Violation::new(path, line, says));
            }
        }
    }
    found
}

fn free(banned: &Banned, path: &str) -> bool {
    banned.allowed.iter().any(|allowed| path.starts_with(allowed))
}

/// A word in lower case.
struct Word {
    line: usize,
    text: String,
    /// Whether a phrase may go on from the word before to this one.
    joined: bool,
}

/// The words of a text. Those of an identifier count one by one: `TakeOver` and `take_over` are
/// two.
fn words(text: &str) -> Vec<Word> {
    let mut all: Vec<Word> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let leader = |sign: char| sign.is_whitespace() || "/!*#>".contains(sign);
        let bare = line.trim_start_matches(leader);
        // A blank line, or one of code, ends the sentence.
        all.extend(in_line(bare, number + 1, !bare.is_empty()));
    }
    all
}

fn in_line(line: &str, number: usize, joined: bool) -> Vec<Word> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut joins = joined;
    let mut lower = false;
    let mut finish = |word: &mut String, joined: bool| {
        if !word.is_empty() {
            all.push(Word { line: number, text: std::mem::take(word), joined });
        }
    };
    for sign in line.chars() {
        if sign.is_alphanumeric() {
            if sign.is_uppercase() && lower {
                finish(&mut word, joins);
                joins = true;
            }
            lower = sign.is_lowercase();
            word.extend(sign.to_lowercase());
        } else {
            let ended = !word.is_empty();
            finish(&mut word, joins);
            joins = (joins || ended) && " -_".contains(sign);
            if ended && " -_".contains(sign) {
                joins = true;
            }
            lower = false;
        }
    }
    finish(&mut word, joins);
    all
}

/// The places of a banned word or phrase.
fn find(banned: &Banned, words: &[Word]) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for form in banned.forms {
        let phrase: Vec<&str> = form.split(' ').collect();
        for window in words.windows(phrase.len()) {
            let same = window.iter().zip(&phrase).all(|(word, part)| word.text == *part);
            if same && window[1..].iter().all(|word| word.joined) {
                found.push((window[0].line, *form));
            }
        }
    }
    found
}

/// A file or folder of modules with a banned name.
fn module(banned: &Banned, path: &str) -> Vec<(usize, &'static str)> {
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let rust = path.ends_with(".rs");
    let named = banned.forms.iter().filter(|form| rust && parts.contains(*form));
    named.map(|form| (1, *form)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::{package, shown};

    #[test]
    fn banned_words_fire_in_code_comments_documents_and_names() {
        let tree = package(&[
            ("README.md", "A block at\nhand, and a hand-out.\n\nNot at. Hand it over.\n"),
            (
                "src/lib.rs",
                "mod tally;\n// How an orphan ends.\nfn takeOrphan() {}\nfn orphanage() {}\n",
            ),
            ("src/tally.rs", "fn leave_hand() {}\n"),
        ]);
        let shown = shown(check(&tree));
        for place in [
            "README.md:1: write",
            "README.md:2: write",
            "src/lib.rs:2: write",
            "src/lib.rs:3: write",
            "src/lib.rs:1: write `counters` instead of \"tally\"",
            "src/tally.rs:1: write `counters` instead of \"tally\"",
            "src/tally.rs:1: write \"current\" or \"active\" instead of \"leave hand\"",
        ] {
            assert!(shown.contains(place), "{place}\n{shown}");
        }
        assert_eq!(shown.lines().count(), 7, "{shown}");
    }

    #[test]
    fn a_word_with_a_plain_meaning_fires_in_identifiers_alone() {
        let text = "// That block is mine.\nfn f(mine: usize) {\n    m!(takes_over);\n}\n";
        let shown = shown(check(&package(&[("src/lib.rs", text)])));
        assert_eq!(
            shown,
            "src/lib.rs:2: write `local` instead of \"mine\"\n\
             src/lib.rs:3: write `reclaim` instead of \"takes over\"\n"
        );
    }

    #[test]
    fn a_word_is_free_where_its_row_says_so() {
        let tree = package(&[("CHANGELOG.md", "The orphan.\n"), ("src/lib.rs", "")]);
        assert_eq!(shown(check(&tree)), "");
    }

    #[test]
    fn a_row_frees_the_paths_that_begin_as_it_allows_and_no_others() {
        let text = "// A duel.\n";
        let free = "workloads/src/registry.rs";
        let tree = package(&[(free, text), ("src/lib.rs", text)]);
        assert_eq!(
            shown(check(&tree)),
            "src/lib.rs:1: write \"double free\" instead of \"duel\"\n"
        );
    }
}
