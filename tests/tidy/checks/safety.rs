//! Every unsafe block says why it holds, and loom sees every atomic of the allocator.

use std::collections::BTreeSet;

use crate::violation::Violation;
use crate::workspace::Tree;

/// How far above its block a SAFETY comment may begin, in lines.
const REACH: usize = 16;
/// The allocator's sources: loom replaces what `sync` gives them.
const MODELLED: &str = "src/";
/// Where atomics that loom doesn't see are right: `sync` wraps them; the policy and the rest of the
/// process's state are no heap's, and loom runs no unit test.
const UNMODELLED: &[&str] = &["src/sync/", "src/sync.rs", "src/policy.rs", "src/process/"];

/// SAFETY comments that name no condition: a reader has to find out what it is, and whether the
/// caller has promised just that.
const BARE: &[&str] = &[
    "the caller's",
    "the caller's word",
    "the caller's promise",
    "as the caller promises",
    "as the caller says",
    "by the caller's word",
    "as above",
    "as before",
    "as there",
    "as it was",
];
/// Unsafe blocks and implementations without a SAFETY comment, which stands on their line or in the
/// lines right above, up to a blank one.
pub fn undocumented(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, file, facts) in tree.rust() {
        let lines: Vec<&str> = file.text.lines().collect();
        let says: BTreeSet<usize> = facts
            .comments
            .iter()
            .filter(|(_, text)| text.contains("SAFETY:"))
            .map(|(line, _)| *line)
            .collect();
        for line in &facts.unsafe_lines {
            let above = (1..*line).rev().take(REACH);
            let mut near = above.take_while(|above| !lines[above - 1].trim().is_empty());
            if !says.contains(line) && !near.any(|above| says.contains(&above)) {
                let says = "write a SAFETY comment right above that names the condition";
                found.push(Violation::new(path, *line, says));
            }
        }
    }
    found
}

/// SAFETY comments that say no more than that somebody promises something.
pub fn bare(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, file, facts) in tree.rust() {
        let lines: Vec<&str> = file.text.lines().collect();
        for (line, text) in &facts.comments {
            let Some((_, says)) = text.split_once("SAFETY:") else { continue };
            // The comment goes on, so that it says more.
            let next = lines.get(*line).is_some_and(|next| next.trim_start().starts_with("//"));
            let says = says.trim().trim_end_matches("*/").trim().trim_end_matches('.');
            if (!next || text.ends_with('.')) && BARE.contains(&says.to_lowercase().as_str()) {
                let says = "name the condition by which it holds: the caller may promise much";
                found.push(Violation::new(path, *line, says));
            }
        }
    }
    found
}

/// Atomics and locks of the standard library in the allocator.
pub fn unmodelled(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, _, facts) in tree.rust().filter(|(path, ..)| path.starts_with(MODELLED)) {
        if UNMODELLED.iter().any(|free| path.starts_with(free)) || tree.is_test(path) {
            continue;
        }
        for module in facts.modules.iter().filter(|module| !module.test) {
            let imports = module.imports.iter().map(|named| (&named.path, named.line, named.test));
            let paths = module.paths.iter().map(|named| (&named.path, named.line, named.test));
            for (path_named, line, test) in imports.chain(paths) {
                let named: Vec<&str> =
                    path_named.iter().map(String::as_str).filter(|part| *part != "::").collect();
                let unseen =
                    matches!(named[..], ["core", "sync", "atomic", ..] | ["std", "sync", ..]);
                if unseen && !test {
                    let says = "take it from `crate::sync`: loom would not see this one";
                    found.push(Violation::new(path, line, says));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::{package, shown};

    #[test]
    fn a_block_and_an_implementation_without_a_reason_fire() {
        let bad = "fn f() {\n    unsafe { g() }\n}\n\nunsafe impl Send for X {}\n\
                   fn h() {\n    m!(unsafe { g() });\n}\n";
        let shown = shown(undocumented(&package(&[("src/lib.rs", bad)])));
        for line in [2, 5, 7] {
            assert!(shown.contains(&format!("src/lib.rs:{line}: write a SAFETY")), "{shown}");
        }
        assert_eq!(shown.lines().count(), 3, "{shown}");
    }

    #[test]
    fn a_reason_counts_right_above_and_not_behind_a_blank_line() {
        let good = "fn f() {\n    // SAFETY: because.\n    // And so on.\n\
                        let x =\n    unsafe { g() };\n}\n";
        assert_eq!(shown(undocumented(&package(&[("src/lib.rs", good)]))), "");
        let far = "fn f() {\n    // SAFETY: of another.\n\n    unsafe { g() }\n}\n";
        assert!(shown(undocumented(&package(&[("src/lib.rs", far)]))).contains("src/lib.rs:4"));
        let string = "fn f() {\n    h(\"SAFETY:\");\n    unsafe { g() }\n}\n";
        assert!(shown(undocumented(&package(&[("src/lib.rs", string)]))).contains("src/lib.rs:3"));
    }

    #[test]
    fn a_reason_without_a_condition_fires() {
        let text = "fn f() {\n    // SAFETY: as the caller promises.\n    unsafe { g() }\n    \
                    // SAFETY: The caller's word.\n    unsafe { g() }\n    \
                    // SAFETY: as above; `x` is live.\n    unsafe { g() }\n    \
                    // SAFETY: the caller's\n    // block is live.\n    unsafe { g() }\n}\n";
        let tree = package(&[("src/lib.rs", text)]);
        let found = shown(bare(&tree));
        for line in [2, 4] {
            assert!(found.contains(&format!("src/lib.rs:{line}: name the condition")), "{found}");
        }
        assert_eq!(found.lines().count(), 2, "{found}");
    }

    #[test]
    fn an_atomic_beside_sync_fires() {
        let tree = package(&[
            ("src/lib.rs", "mod sync;\nuse core::{ptr, sync::atomic::AtomicBool};\n"),
            ("src/sync/mod.rs", "pub use core::sync::atomic::AtomicBool;\n"),
        ]);
        let shown = shown(unmodelled(&tree));
        assert_eq!(
            shown,
            "src/lib.rs:2: take it from `crate::sync`: loom would not see this one\n"
        );
    }
}
