//! No document, comment or link that points at what isn't there.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::violation::Violation;
use crate::workspace::{Tree, join};

/// Ends of names of files that documents and comments may name by a path of the repository.
const NAMED: &[&str] = &[".md", ".rs", ".toml", ".c", ".cc", ".h", ".sh", ".py", ".yml"];
/// The document whose names in backticks must all exist.
const MAP: &str = "ARCHITECTURE.md";
/// Names that the map takes from elsewhere: other crates, the kernel, the tools' own words.
const FOREIGN: &[&str] = &["std", "core", "alloc", "loom", "libc", "criterion", "clap"];

/// Links of Markdown files, with the headings they lead to.
pub fn links(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.markdown() {
        let folder = folder_of(path);
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            let to = match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => dest_url,
                _ => continue,
            };
            if to.contains("://") || to.starts_with("mailto:") {
                continue;
            }
            let line = text[..range.start].matches('\n').count() + 1;
            let (file, heading) = to.split_once('#').unwrap_or((&to, ""));
            let file = if file.is_empty() { path.to_owned() } else { join(folder, file) };
            if !exists(tree, &file) {
                let says = format!("link to what is there: `{file}` isn't");
                found.push(Violation::new(path, line, says));
            } else if !heading.is_empty()
                && let Some(target) = tree.files.get(&file)
                && !anchors(&target.text).contains(heading)
            {
                let says = format!("link to a heading of {file}: `#{heading}` is none");
                found.push(Violation::new(path, line, says));
            }
        }
    }
    found
}

/// Paths of files that documents and comments name.
pub fn paths(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut look = |path: &str, line: usize, text: &str| {
        for named in text.split(|sign: char| " \t`'\"()[]{},;|<>".contains(sign)) {
            let named = named.trim_end_matches(['.', ':', '!', '?']).trim_start_matches("./");
            let named = named.split(['#', ':']).next().unwrap_or_default();
            if is_path(named) && !is_there(tree, path, named) {
                let says = format!("name a file that is there: `{named}` isn't");
                found.push(Violation::new(path, line, says));
            }
        }
    };
    for (path, text) in tree.markdown() {
        // What was is history.
        if path == "CHANGELOG.md" {
            continue;
        }
        let mut fenced = false;
        for (number, line) in text.lines().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            if !fenced {
                look(path, number + 1, line);
            }
        }
    }
    for (path, _, facts) in tree.rust() {
        facts.comments.iter().for_each(|(line, text)| look(path, *line, text));
    }
    found
}

/// Names in backticks in the map: modules, items and files that the code must have.
pub fn names(tree: &Tree) -> Vec<Violation> {
    let Some(map) = tree.files.get(MAP) else { return Vec::new() };
    let known = Known::of(tree);
    let mut found = Vec::new();
    let mut in_code = false;
    for (event, range) in Parser::new_ext(&map.text, Options::ENABLE_TABLES).into_offset_iter() {
        let line = map.text[..range.start].matches('\n').count() + 1;
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Code(name) if !in_code && !known.has(tree, &name) => {
                let says = format!("name what is in the code: `{name}` isn't");
                found.push(Violation::new(MAP, line, says));
            }
            _ => {}
        }
    }
    found
}

/// What the code has names for.
struct Known<'t> {
    names: BTreeSet<&'t str>,
    /// A module or a type, and what it holds.
    pairs: BTreeSet<(&'t str, &'t str)>,
}

impl<'t> Known<'t> {
    fn of(tree: &'t Tree) -> Known<'t> {
        let mut known = Known { names: BTreeSet::new(), pairs: BTreeSet::new() };
        for part in tree.files.keys().flat_map(|path| path.split('/')) {
            known.names.extend([part, part.split('.').next().unwrap_or_default()]);
        }
        for (_, _, facts) in tree.rust() {
            known.names.extend(facts.identifiers.iter().map(|(_, name)| name.as_str()));
            known.pairs.extend(facts.members.iter().map(|(of, name)| (&**of, &**name)));
        }
        for one in &tree.crates {
            for node in &one.nodes {
                let name = node.parent.and_then(|parent| {
                    let around = one.nodes[parent].children.iter();
                    let mut own = around.filter(|(_, child)| one.nodes[**child].file == node.file);
                    own.next().map(|(name, _)| name.as_str())
                });
                let Some(name) = name else { continue };
                known.pairs.extend(node.children.keys().map(|child| (name, child.as_str())));
                let facts = tree.facts(&node.file).and_then(|facts| facts.modules.get(node.place));
                if let Some(module) = facts {
                    known.pairs.extend(module.items.iter().map(|item| (name, &*item.name)));
                    known.pairs.extend(module.imports.iter().map(|item| (name, &*item.name)));
                }
            }
        }
        known
    }

    fn has(&self, tree: &Tree, name: &str) -> bool {
        let word = |part: &str| {
            !part.is_empty() && part.chars().all(|sign| sign.is_alphanumeric() || sign == '_')
        };
        let bare = name.trim_end_matches("()");
        let parts: Vec<&str> = bare.split("::").collect();
        if FOREIGN.contains(&parts[0]) {
            return true;
        }
        if parts.len() > 1 && parts.iter().all(|part| word(part)) {
            return parts.windows(2).all(|pair| {
                pair[0] == "crate"
                    || pair[0] == "drystone"
                    || self.pairs.contains(&(pair[0], pair[1]))
            });
        }
        if let Some(folder) = name.strip_suffix('/') {
            let ends = format!("/{folder}/");
            return tree.files.keys().any(|path| format!("/{path}").contains(&ends));
        }
        !word(bare) || bare.chars().all(|sign| sign.is_numeric()) || self.names.contains(bare)
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn exists(tree: &Tree, path: &str) -> bool {
    let inside = format!("{path}/");
    path.is_empty()
        || tree.files.contains_key(path)
        || tree.files.keys().any(|file| file.starts_with(&inside))
}

/// Whether a word is a path below the repository, not a pattern, an address or a file of the
/// system.
fn is_path(word: &str) -> bool {
    NAMED.iter().any(|end| word.ends_with(end))
        && word.contains('/')
        && !word.starts_with(['/', '~', '$', '-', '.'])
        && !word.contains(['*', '$', '=', '…'])
        && !word.contains("..")
        && !word.starts_with("target/")
        && word.split('/').all(|part| !part.chars().all(char::is_uppercase))
}

/// Whether it is there: seen from the root, the package, or a folder around the file that names it.
fn is_there(tree: &Tree, from: &str, named: &str) -> bool {
    let mut folder = folder_of(from);
    loop {
        if exists(tree, &join(folder, named))
            || exists(tree, &join(folder, &format!("src/{named}")))
        {
            return true;
        }
        if folder.is_empty() {
            return false;
        }
        folder = folder_of(folder);
    }
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => found.extend(heading.take()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    let kept = text.to_lowercase().replace(' ', "-");
                    let keep = |sign: &char| sign.is_alphanumeric() || "-_".contains(*sign);
                    heading.extend(kept.chars().filter(keep));
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::{package, shown};

    #[test]
    fn links_to_a_missing_file_or_heading_fire() {
        let tree = package(&[
            (
                "README.md",
                "[a](docs/a.md)\n[b](docs/a.md#the-heading)\n[c](docs/b.md)\n[d](docs/a.md#no)\n",
            ),
            ("docs/a.md", "# The `heading`\n[up](../README.md) [web](https://example.org/x)\n"),
        ]);
        let shown = shown(links(&tree));
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(shown.contains("README.md:3: link to what is there: `docs/b.md` isn't"), "{shown}");
        assert!(shown.contains("README.md:4: link to a heading of docs/a.md"), "{shown}");
    }

    #[test]
    fn a_path_in_a_comment_or_document_must_exist() {
        let tree = package(&[
            (
                "README.md",
                "See `src/lib.rs`, src/gone.rs and /usr/lib/x.h.\n```\nsrc/free.rs\n```\n",
            ),
            ("src/lib.rs", "//! As `docs/gone.md` says, not https://example.org/a/b.md.\n"),
        ]);
        let shown = shown(paths(&tree));
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(shown.contains("README.md:1: name a file that is there: `src/gone.rs`"), "{shown}");
        assert!(
            shown.contains("src/lib.rs:1: name a file that is there: `docs/gone.md`"),
            "{shown}"
        );
    }

    #[test]
    fn the_map_names_only_what_is_in_the_code() {
        let map = "`low` `low::Thing` `Thing::new` `src/`\n`gone` `low::Gone` `old/`\n";
        let tree = package(&[
            ("ARCHITECTURE.md", map),
            ("src/lib.rs", "mod low;\n"),
            ("src/low.rs", "struct Thing;\nimpl Thing {\n    fn new() {}\n}\n"),
        ]);
        let shown = shown(names(&tree));
        assert_eq!(shown.lines().count(), 3, "{shown}");
        assert!(
            shown.contains("ARCHITECTURE.md:2: name what is in the code: `low::Gone`"),
            "{shown}"
        );
    }
}
