//! No circle of files, no circle of rooms, and few floors.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Uses, circle, knots, longest_chain};
use crate::violation::Violation;
use crate::workspace::Tree;
use crate::workspace::imports::{Edge, How};

/// The longest chain of files in a package that name each other's items. A reader climbs it to see
/// what a file at the top does; with more than nine he loses the thread, and has found two packages
/// in one.
const FLOORS: usize = 9;

/// Files that name each other's items in a circle.
pub fn of_files(edges: &BTreeSet<Edge>) -> Vec<Violation> {
    let uses = edges.iter().filter(|edge| edge.how != How::Method);
    let advice = "move what both need into a file below them";
    told(of(uses.map(|edge| (edge, edge.from.as_str(), edge.to.as_str())).collect(), advice))
}

/// Files that call each other's methods of one type in a circle: `impl` blocks have an order as
/// well.
pub fn of_methods(edges: &BTreeSet<Edge>) -> Vec<Violation> {
    let uses: Vec<_> =
        edges.iter().map(|edge| (edge, edge.from.as_str(), edge.to.as_str())).collect();
    let plain: Uses = edges
        .iter()
        .filter(|edge| edge.how != How::Method)
        .map(|edge| (edge.from.as_str(), edge.to.as_str()))
        .collect();
    // A knot without methods is told by `of_files`.
    let knotted: Vec<BTreeSet<&str>> = knots(&plain);
    let known = |from, to| knotted.iter().any(|knot| knot.contains(from) && knot.contains(to));
    let uses = uses.into_iter().filter(|(_, from, to)| !known(*from, *to)).collect();
    told(of(uses, "move the methods so that one file's call the other's, not both"))
}

/// Folders and files beside each other that use each other in a circle, at every depth.
pub fn of_rooms(edges: &BTreeSet<Edge>) -> Vec<Violation> {
    let mut levels = BTreeMap::<&str, Vec<(&Edge, &str, &str)>>::new();
    for edge in edges.iter().filter(|edge| edge.how != How::Method) {
        let common = edge.from.bytes().zip(edge.to.bytes()).take_while(|(a, b)| a == b).count();
        let folder = edge.from[..common].rfind('/').map_or("", |end| &edge.from[..end]);
        let (from, to) = (room(folder, &edge.from), room(folder, &edge.to));
        // What a file and the folder of its children share is for `of_files`.
        let plain = |room: &str| room == "mod" || room == "lib" || room == "main";
        if from != to && !plain(from) && !plain(to) {
            levels.entry(folder).or_default().push((edge, from, to));
        }
    }
    let advice = "move what both need into a room below them";
    let mut found = Vec::new();
    for (folder, uses) in levels {
        // A circle of plain files alone is told by `of_files`.
        let depth = if folder.is_empty() { 0 } else { folder.matches('/').count() + 1 };
        let is_folder = |name: &str| {
            uses.iter().any(|(edge, from, to)| {
                (*from == name && edge.from.matches('/').count() > depth)
                    || (*to == name && edge.to.matches('/').count() > depth)
            })
        };
        let circles = of(uses.clone(), advice).into_iter();
        let circles = circles.filter(|(knot, _)| knot.iter().any(|name| is_folder(name)));
        found.extend(circles.map(|(_, violation)| violation));
    }
    found
}

/// The file or folder right below `folder` that `path` is or lies in, without `.rs`.
pub fn room<'a>(folder: &str, path: &'a str) -> &'a str {
    let inside = if folder.is_empty() { path } else { &path[folder.len() + 1..] };
    let first = inside.split('/').next().unwrap_or_default();
    first.trim_end_matches(".rs")
}

/// The knots of a graph whose edges have names, each with its violation.
fn of<'a>(
    named: Vec<(&'a Edge, &'a str, &'a str)>,
    advice: &str,
) -> Vec<(BTreeSet<&'a str>, Violation)> {
    let uses: Uses = named.iter().map(|(_, from, to)| (*from, *to)).collect();
    let mut found = Vec::new();
    for knot in knots(&uses) {
        let path = circle(&uses, &knot);
        let steps = path.windows(2).map(|step| {
            let (edge, ..) = *named
                .iter()
                .find(|(_, from, to)| *from == step[0] && *to == step[1])
                .expect("a circle is made of edges");
            (edge, format!("{} uses {} ({}:{})", step[0], step[1], edge.name, edge.line))
        });
        let (edges, steps): (Vec<&Edge>, Vec<String>) = steps.unzip();
        let more = match knot.len() - (path.len() - 1) {
            0 => String::new(),
            more => format!(" (and {more} more in the knot)"),
        };
        let says = format!("a circle: {}{more}; {advice}", steps.join(", "));
        found.push((knot, Violation::new(&edges[0].from, edges[0].line, says)));
    }
    found
}

fn told(found: Vec<(BTreeSet<&str>, Violation)>) -> Vec<Violation> {
    found.into_iter().map(|(_, violation)| violation).collect()
}

/// Packages whose files stand on more floors than a reader can climb.
pub fn floors(tree: &Tree, edges: &BTreeSet<Edge>) -> Vec<Violation> {
    let mut found = Vec::new();
    for package in &tree.packages {
        let src = package.path("src/");
        let inside = edges.iter().filter(|edge| edge.from.starts_with(&src));
        let uses: Uses = inside
            .filter(|edge| edge.how == How::Import)
            .map(|edge| (edge.from.as_str(), edge.to.as_str()))
            .collect();
        let chain = longest_chain(&uses);
        if chain.len() > FLOORS {
            let says = format!(
                "{} floors of imports, {FLOORS} are allowed; shorten this chain: {}",
                chain.len(),
                chain.join(" > ")
            );
            found.push(Violation::new(chain[0], 1, says));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::{package, shown, tree};
    use crate::workspace::imports::edges;

    fn files(planted: &[(&str, &str)]) -> String {
        shown(of_files(&edges(&package(planted))))
    }

    #[test]
    fn a_circle_through_crate_paths_fires_with_its_lines() {
        let shown = files(&[
            ("src/lib.rs", "mod a;\nmod b;\n"),
            ("src/a.rs", "use crate::b::B;\npub struct A(B);\n"),
            ("src/b.rs", "pub struct B;\nfn f(_: &crate::a::A) {}\n"),
        ]);
        assert!(shown.starts_with("src/a.rs:1: a circle: src/a.rs uses src/b.rs"), "{shown}");
        assert!(shown.contains("src/b.rs uses src/a.rs (crate::a::A:2); move what"), "{shown}");
    }

    #[test]
    fn a_circle_of_parent_and_child_through_super_fires() {
        let shown = files(&[
            ("src/lib.rs", "mod a;\n"),
            ("src/a/mod.rs", "mod child;\npub struct A;\nfn f() { child::go() }\n"),
            ("src/a/child.rs", "pub fn go() { let _ = super::A; }\n"),
        ]);
        assert!(shown.contains("(super::A:1)") && shown.contains("(child::go:3)"), "{shown}");
    }

    #[test]
    fn a_circle_of_siblings_through_a_re_export_fires_for_the_defining_files() {
        let shown = files(&[
            ("src/lib.rs", "mod a;\n"),
            ("src/a.rs", "mod one;\nmod two;\npub use one::One;\n"),
            ("src/a/one.rs", "use super::two;\npub struct One(two::Two);\n"),
            ("src/a/two.rs", "use super::*;\npub struct Two;\nfn f(_: One) {}\n"),
        ]);
        let circle = "src/a/one.rs uses src/a/two.rs (two::Two:2), src/a/two.rs uses src/a/one.rs";
        assert!(shown.contains(circle) && !shown.contains("uses src/a.rs"), "{shown}");
    }

    #[test]
    fn a_circle_in_a_macros_arguments_fires() {
        let shown = files(&[
            ("src/lib.rs", "mod a;\nmod b;\n"),
            ("src/a.rs", "pub fn a() { assert!(crate::b::b()) }\n"),
            ("src/b.rs", "pub fn b() -> bool { crate::a::a(); true }\n"),
        ]);
        assert!(shown.contains("(crate::b::b:1)"), "{shown}");
    }

    #[test]
    fn declarations_tests_and_imports_one_way_make_no_circle() {
        let shown = files(&[
            ("src/lib.rs", "mod a;\nmod b;\npub use a::A;\n"),
            ("src/a.rs", "use crate::b::B;\npub struct A(B);\n"),
            ("src/b.rs", "pub struct B;\n#[cfg(test)]\nmod tests {\n    use crate::A;\n}\n"),
        ]);
        assert_eq!(shown, "");
    }

    #[test]
    fn a_circle_of_methods_of_one_type_fires() {
        let planted = [
            ("src/lib.rs", "mod low;\nmod one;\nmod two;\n"),
            ("src/low.rs", "pub struct Engine;\n"),
            (
                "src/one.rs",
                "use crate::low::Engine;\nimpl Engine {\n    pub fn a(&self) { self.b() }\n}\n",
            ),
            (
                "src/two.rs",
                "use crate::low::Engine;\n\
                 impl Engine {\n    pub fn b(&self) { Self::a(self) }\n}\n",
            ),
        ];
        let edges = edges(&package(&planted));
        assert_eq!(shown(of_files(&edges)), "");
        let shown = shown(of_methods(&edges));
        assert!(shown.contains("src/one.rs uses src/two.rs (Engine::b:3)"), "{shown}");
        assert!(shown.contains("src/two.rs uses src/one.rs (Engine::a:3)"), "{shown}");
    }

    #[test]
    fn a_circle_of_rooms_fires_where_their_files_make_none() {
        let edges = edges(&package(&[
            ("src/lib.rs", "mod one;\nmod two;\n"),
            ("src/one/mod.rs", "pub mod high;\npub mod low;\n"),
            ("src/one/high.rs", "use crate::two::Two;\n"),
            ("src/one/low.rs", "pub struct Low;\n"),
            ("src/two.rs", "use crate::one::low::Low;\npub struct Two(Low);\n"),
        ]));
        assert_eq!(shown(of_files(&edges)), "");
        let shown = shown(of_rooms(&edges));
        assert!(shown.contains("one uses two (crate::two::Two:1), two uses one"), "{shown}");
    }

    #[test]
    fn a_binary_stands_on_its_library_and_too_many_floors_fire() {
        let mut planted: Vec<(String, String)> = (0..FLOORS)
            .map(|floor| {
                let text = format!("use crate::f{}::T as U;\npub struct T(U);\n", floor + 1);
                (format!("src/f{floor}.rs"), text)
            })
            .collect();
        planted.push((format!("src/f{FLOORS}.rs"), "pub struct T;\n".to_owned()));
        let declared: String = (0..=FLOORS).map(|floor| format!("pub mod f{floor};\n")).collect();
        planted.push(("src/lib.rs".to_owned(), declared));
        planted.push(("src/main.rs".to_owned(), "fn f(_: my_one::f0::T) {}\n".to_owned()));
        planted.push(("Cargo.toml".to_owned(), "[package]\nname = \"my-one\"\n".to_owned()));
        let planted: Vec<(&str, &str)> =
            planted.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let tree = tree(&planted);
        let shown = shown(floors(&tree, &edges(&tree)));
        let says = format!("src/main.rs:1: {} floors of imports, {FLOORS} are allowed", FLOORS + 2);
        assert!(shown.starts_with(&says), "{shown}");
    }
}
