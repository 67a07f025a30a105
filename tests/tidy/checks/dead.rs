//! No file that nothing compiles.

use std::collections::BTreeSet;

use crate::violation::Violation;
use crate::workspace::Tree;

/// Rust files that no `mod` reaches from a target, and that no file beside them includes by name.
pub fn check(tree: &Tree) -> Vec<Violation> {
    let nodes = tree.crates.iter().flat_map(|one| &one.nodes);
    let mut alive: BTreeSet<String> = nodes.map(|node| node.file.clone()).collect();
    for (path, _, facts) in tree.rust() {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (_, named) in facts.strings.iter().filter(|(_, text)| text.ends_with(".rs")) {
            alive.insert(crate::workspace::join(folder, named));
        }
    }
    let dead = tree.rust().filter(|(path, ..)| !alive.contains(*path));
    let says = "no target reaches it; declare it with `mod`, or delete it";
    dead.map(|(path, ..)| Violation::new(path, 1, says)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::{package, shown};

    #[test]
    fn a_file_that_nothing_reaches_fires() {
        let tree = package(&[
            ("src/lib.rs", "mod a;\n#[path = \"odd/place.rs\"]\nmod b;\n"),
            ("src/a.rs", "mod child;\nconst TEXT: &str = include_str!(\"a/text.rs\");\n"),
            ("src/a/child.rs", "#[cfg(test)]\nmod tests;\n"),
            ("src/a/child/tests.rs", ""),
            ("src/a/text.rs", ""),
            ("src/odd/place.rs", ""),
            ("src/child.rs", ""),
            ("build.rs", ""),
            ("tests/t/main.rs", "mod support;\n"),
            ("tests/t/support/mod.rs", ""),
        ]);
        let shown = shown(check(&tree));
        assert_eq!(
            shown,
            "src/child.rs:1: no target reaches it; declare it with `mod`, or delete it\n"
        );
    }
}
