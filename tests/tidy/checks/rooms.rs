//! The order of rooms inside a package, as the documents state it.
//!
//! A table below the line `<!-- rooms of src/engine, lowest first -->` (or `highest first`), in a
//! Markdown file or in a crate's head, names the files and folders of that folder in the first cell
//! of its rows; `mod` is its `mod.rs`. Each uses only those below it.

use std::collections::BTreeSet;

use super::circles::room;
use crate::violation::Violation;
use crate::workspace::Tree;
use crate::workspace::imports::{Edge, How};

/// Folders whose order some document must state.
const STATED: &[&str] = &["src", "src/engine", "src/list", "stress/src", "results/src"];
/// Rooms that know nothing of each other: the two allocators.
const APART: &[(&str, &str, &str)] = &[("src", "list", "engine")];
/// What begins a statement.
const MARKER: &str = "<!-- rooms of ";

/// An order, where it is stated.
struct Order {
    file: String,
    line: usize,
    folder: String,
    /// Lowest first.
    rooms: Vec<String>,
}

/// Imports that point up, rooms without a place in the order, and places without a room.
pub fn check(tree: &Tree, edges: &BTreeSet<Edge>) -> Vec<Violation> {
    let mut found = Vec::new();
    let orders = orders(tree);
    for folder in STATED {
        let there = tree.files.keys().any(|path| path.starts_with(&format!("{folder}/")));
        if there && !orders.iter().any(|order| order.folder == *folder) {
            let says =
                format!("state the order of its rooms: '{MARKER}{folder}, lowest first -->'");
            found.push(Violation::new("ARCHITECTURE.md", 1, says));
        }
    }
    for order in &orders {
        places(tree, order, &mut found);
        upward(order, edges, &mut found);
    }
    found.extend(apart(edges));
    found
}

fn places(tree: &Tree, order: &Order, found: &mut Vec<Violation>) {
    let inside = format!("{}/", order.folder);
    let files = tree.files.keys().filter(|path| path.starts_with(&inside) && path.ends_with(".rs"));
    let files = files.filter(|path| !tree.is_test(path));
    let there: BTreeSet<&str> = files.map(|path| room(&order.folder, path)).collect();
    let placed: BTreeSet<&str> = order.rooms.iter().map(String::as_str).collect();
    // A root passes names on; a `mod.rs` may do that alone, too.
    let free = ["lib", "main", "mod", "bin"];
    for room in there.difference(&placed).filter(|room| !free.contains(room)) {
        let says = format!("give `{room}` of {} a place in this order", order.folder);
        found.push(Violation::new(&order.file, order.line, says));
    }
    for room in placed.difference(&there) {
        let says = format!("take `{room}` out of this order: {} has none", order.folder);
        found.push(Violation::new(&order.file, order.line, says));
    }
}

fn upward(order: &Order, edges: &BTreeSet<Edge>, found: &mut Vec<Violation>) {
    let inside = format!("{}/", order.folder);
    let both = |edge: &&Edge| edge.from.starts_with(&inside) && edge.to.starts_with(&inside);
    let rank = |path| {
        let room = room(&order.folder, path);
        order.rooms.iter().position(|placed| placed == room)
    };
    for edge in edges.iter().filter(both).filter(|edge| edge.how != How::Export) {
        if let (Some(from), Some(to)) = (rank(&edge.from), rank(&edge.to))
            && to > from
        {
            let says = format!(
                "uses `{}` of `{}`, which lies above `{}` ({}:{})",
                edge.name, order.rooms[to], order.rooms[from], order.file, order.line
            );
            found.push(Violation::new(&edge.from, edge.line, says));
        }
    }
}

fn apart(edges: &BTreeSet<Edge>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (folder, one, other) in APART {
        let inside = format!("{folder}/");
        let both = edges
            .iter()
            .filter(|edge| edge.from.starts_with(&inside) && edge.to.starts_with(&inside));
        for edge in both {
            let ends = (room(folder, &edge.from), room(folder, &edge.to));
            if ends == (*one, *other) || ends == (*other, *one) {
                let says =
                    format!("`{one}` and `{other}` know nothing of each other; put it below both");
                found.push(Violation::new(&edge.from, edge.line, says));
            }
        }
    }
    found
}

/// All orders that documents and crates' heads state.
fn orders(tree: &Tree) -> Vec<Order> {
    let mut orders = Vec::new();
    for (path, text) in tree.markdown() {
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
        orders.extend(stated(path, lines.collect()));
    }
    for (path, _, facts) in tree.rust() {
        let head = facts
            .comments
            .iter()
            .filter_map(|(line, text)| text.strip_prefix("//!").map(|text| (*line, text.trim())));
        orders.extend(stated(path, head.collect()));
    }
    orders
}

fn stated(path: &str, lines: Vec<(usize, &str)>) -> Vec<Order> {
    let mut found = Vec::new();
    for (place, (line, text)) in lines.iter().enumerate() {
        let Some((folder, rest)) =
            text.strip_prefix(MARKER).and_then(|statement| statement.split_once(", "))
        else {
            continue;
        };
        let mut rest_lines = lines[place + 1..].iter().map(|(_, text)| text.trim());
        let table = rest_lines.by_ref().skip_while(|text| text.is_empty());
        // Two lines of heading.
        let rows = table.take_while(|text| text.starts_with('|')).skip(2);
        let mut rooms: Vec<String> = rows.flat_map(names).collect();
        if rest.starts_with("highest first") {
            rooms.reverse();
        }
        found.push(Order { file: path.to_owned(), line: *line, folder: folder.to_owned(), rooms });
    }
    found
}

/// The names in backticks in a row's first cell, without what marks them as files or links.
fn names(row: &str) -> Vec<String> {
    let cell = row.trim_start_matches('|').split('|').next().unwrap_or_default();
    let names = cell.split('`').skip(1).step_by(2);
    names.map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::{shown, tree};
    use crate::workspace::imports::edges;

    const ORDER: &str = "<!-- rooms of src, lowest first -->\n\n| room |\n|---|\n\
                         | `low/`, `mid.rs` |\n| `high` |\n";

    fn violations(document: &str, low: &str) -> String {
        let tree = tree(&[
            ("Cargo.toml", "[package]\nname = \"one\"\n"),
            ("ARCHITECTURE.md", document),
            ("src/lib.rs", "mod low;\nmod mid;\nmod high;\n"),
            ("src/low/mod.rs", low),
            ("src/mid.rs", "pub struct Mid;\n"),
            ("src/high.rs", "pub use crate::mid::Mid;\npub fn high(_: Mid) {}\n"),
        ]);
        shown(check(&tree, &edges(&tree)).into_iter().filter(|violation| {
            !violation.to_string().contains("state the order of its rooms: '<!-- rooms of src/")
        }))
    }

    #[test]
    fn an_import_downward_is_allowed() {
        assert_eq!(violations(ORDER, ""), "");
    }

    #[test]
    fn an_import_upward_fires_also_through_a_re_export() {
        let shown = violations(ORDER, "fn f() {\n    super::high::high(super::high::Mid)\n}\n");
        let high = "src/low/mod.rs:2: uses `super::high::high` of `high`, which lies above `low`";
        let mid = "src/low/mod.rs:2: uses `super::high::Mid` of `mid`, which lies above `low`";
        assert!(shown.contains(high) && shown.contains(mid), "{shown}");
    }

    #[test]
    fn rooms_and_places_must_agree() {
        let shown = violations(&ORDER.replace("mid.rs", "gone"), "");
        assert!(shown.contains("ARCHITECTURE.md:1: give `mid` of src a place"), "{shown}");
        assert!(shown.contains("ARCHITECTURE.md:1: take `gone` out of this order"), "{shown}");
    }

    #[test]
    fn rooms_that_know_nothing_of_each_other_fire() {
        let tree = tree(&[
            ("Cargo.toml", "[package]\nname = \"one\"\n"),
            ("src/lib.rs", "mod list;\nmod engine;\n"),
            ("src/list/mod.rs", "pub struct List;\n"),
            ("src/engine/mod.rs", "fn f(_: crate::list::List) {}\n"),
        ]);
        let shown = shown(apart(&edges(&tree)));
        let says = "src/engine/mod.rs:1: `list` and `engine` know nothing of each other";
        assert!(shown.starts_with(says) && shown.lines().count() == 1, "{shown}");
    }

    #[test]
    fn an_order_must_be_stated() {
        assert!(violations("", "").contains("ARCHITECTURE.md:1: state the order"));
    }
}
