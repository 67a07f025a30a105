//! The shape of the source, held by a test: imports point downward, every unsafe block says why it
//! holds, atomics come from `sync`.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The allocator's modules, lowest first: each may use those before it. `list` and `engine` hold their
/// own orders.
const ALLOCATOR: &[&str] =
    &["errno", "probe", "os", "misuse", "policy", "stats", "sync", "list", "engine"];
/// The two allocators, which know nothing of each other.
const APART: [&str; 2] = ["list", "engine"];
/// The parts of `list`, lowest first. `mod.rs` is above all but the front.
const LIST: &[&str] = &["header", "index", "regions", "state", "check"];
/// The parts of `engine`, lowest first.
const ENGINE: &[&str] = &[
    "classes",
    "ledger",
    "slab",
    "pages",
    "heap",
    "span",
    "huge",
    "late",
    "shared",
    "mod",
    "resize",
    "check",
    "quarantine",
    "thread",
    "front",
    "sized",
];
/// What stands in `engine/mod.rs`, for who lies above it: nobody below may use these.
const IN_ENGINE_MOD: &[&str] = &["Engine", "Static", "no_slab", "double_free", "MIN_ALIGN"];
/// What each package may use of the others.
const PACKAGES: &[(&str, &[&str])] = &[
    (".", &[]),
    ("capi", &["drystone"]),
    ("peers", &["drystone_workloads"]),
    ("recorder", &["drystone_workloads"]),
    ("results", &["drystone_workloads"]),
    ("stress", &["drystone", "drystone_workloads"]),
    ("workloads", &[]),
];

#[test]
fn every_package_is_listed_here() {
    let manifest = fs::read_to_string(support::workspace().join("Cargo.toml")).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("members")).unwrap();
    for (package, _) in PACKAGES.iter().skip(1) {
        assert!(line.contains(&format!("\"{package}\"")), "{package} is no member: {line}");
    }
    assert_eq!(
        line.matches('"').count() / 2,
        PACKAGES.len() - 1,
        "a member is missing in this test: {line}"
    );
}

#[test]
fn packages_use_only_what_lies_below_them() {
    let names =
        ["drystone", "drystone_workloads", "drystone_peers", "drystone_stress", "drystone_results"];
    for (package, allowed) in PACKAGES {
        for (path, text) in sources(&support::workspace().join(package).join("src")) {
            for name in names {
                let own = format!("drystone_{package}") == name
                    || (*package == "." && name == "drystone");
                if !own && !allowed.contains(&name) {
                    let used = code(&text).any(|(_, line)| mentions(line, &format!("{name}::")));
                    assert!(!used, "{} uses {name}, which does not lie below it", path.display());
                }
            }
        }
    }
}

#[test]
fn the_allocators_modules_use_only_those_below() {
    let src = support::workspace().join("src");
    for (path, text) in sources(&src) {
        let relative = path.strip_prefix(&src).unwrap();
        let module = top_module(relative);
        if module == "lib" || part_of(relative) == "tests" {
            continue;
        }
        let rank = rank(ALLOCATOR, &module);
        for used in uses(&text) {
            assert!(
                ALLOCATOR.contains(&used.as_str()),
                "{}: crate::{used} is not in ALLOCATOR",
                path.display()
            );
            let other = used != module && APART.contains(&used.as_str());
            assert!(
                !(other && APART.contains(&module.as_str())),
                "{}: '{module}' uses '{used}', the other allocator",
                path.display()
            );
            assert!(
                self::rank(ALLOCATOR, &used) <= rank,
                "{}: '{module}' uses '{used}', which lies above it",
                path.display()
            );
        }
        if module == "engine"
            && let Some((line, used)) = upward(ENGINE, part_of(relative), &text).next()
        {
            panic!("{}:{line}: uses '{used}', which lies above it", path.display());
        }
        if let Some(part) = relative.strip_prefix("list").ok().and_then(Path::file_stem) {
            let part = part.to_str().unwrap();
            let Some(rank) = LIST.iter().position(|name| *name == part) else { continue };
            for (number, line) in code(&text) {
                for (above, name) in LIST.iter().enumerate().skip(rank + 1) {
                    assert!(
                        !mentions(line, &format!("super::{name}")),
                        "{}:{number}: '{part}' uses '{name}' ({above}), which lies above it",
                        path.display()
                    );
                }
            }
        }
    }
}

#[test]
fn an_upward_import_inside_the_engine_is_found() {
    let up = |part, text| upward(ENGINE, part, text).map(|(_, used)| used).collect::<Vec<_>>();
    assert_eq!(
        up("slab", "use super::ledger::{END, Entry};\nuse super::classes::UNIT;\n"),
        [""; 0]
    );
    assert_eq!(up("slab", "use super::classes;\nuse super::pages::Pages;\n"), ["pages"]);
    assert_eq!(up("huge", "use super::{Engine, slab};\n"), ["Engine"]);
    assert_eq!(up("slab", "use super::{\n    ledger,\n    heap::Heap,\n};\n"), ["heap"]);
    assert_eq!(up("thread", "    use super::super::front::EMPTY;\n"), ["front"]);
    assert_eq!(up("quarantine", "use super::{Engine, double_free};\n// super::front\n"), [""; 0]);
}

/// In the other packages the order is not written down, but there must be one.
#[test]
fn no_package_has_modules_that_use_each_other_in_a_circle() {
    for (package, _) in PACKAGES {
        let src = support::workspace().join(package).join("src");
        let mut graph = BTreeMap::<String, BTreeSet<String>>::new();
        for (path, text) in sources(&src) {
            let module = top_module(path.strip_prefix(&src).unwrap());
            if module != "lib" && module != "main" {
                let mut used = uses(&text);
                used.remove(&module);
                graph.entry(module).or_default().extend(used);
            }
        }
        if let Some(circle) = circle(&graph) {
            panic!("{package}/src: modules use each other in a circle: {}", circle.join(" -> "));
        }
    }
}

#[test]
fn a_circle_is_found() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph = BTreeMap::<String, BTreeSet<String>>::new();
        for (from, to) in edges {
            graph.entry(from.to_string()).or_default().insert(to.to_string());
        }
        graph
    };
    assert!(circle(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])).is_none());
    assert!(circle(&graph(&[("a", "b"), ("b", "c"), ("c", "b")])).is_some());
}

#[test]
fn every_unsafe_block_says_why_it_holds() {
    let mut blocks = 0;
    for (path, text) in all_sources() {
        let (undocumented, found) = undocumented_unsafe(&text);
        blocks += found;
        assert!(
            undocumented.is_empty(),
            "{}: no SAFETY comment at lines {undocumented:?}",
            path.display()
        );
    }
    assert!(blocks > 50, "only {blocks} unsafe blocks found: the search is broken");
}

#[test]
fn an_undocumented_unsafe_block_is_found() {
    let (block, implementation) = (concat!("uns", "afe {"), concat!("uns", "afe impl"));
    let bad = format!("fn f() {{\n    {block} g() }}\n}}\n\n{implementation} Send for X {{}}\n");
    assert_eq!(undocumented_unsafe(&bad), (vec![2, 5], 2));
    let good = format!("// SAFETY: because.\n// And so on.\nlet x =\n    {block} g() }};\n");
    assert_eq!(undocumented_unsafe(&good), (vec![], 1));
    let far = format!("// SAFETY: of something else.\n\n{block} g() }}\n");
    assert_eq!(undocumented_unsafe(&far), (vec![3], 1));
}

#[test]
fn the_allocators_atomics_come_from_sync() {
    let src = support::workspace().join("src");
    for (path, text) in sources(&src) {
        let relative = path.strip_prefix(&src).unwrap();
        // The policy is the process's; loom runs no unit test.
        let excepted = relative.starts_with("sync")
            || relative == Path::new("policy.rs")
            || part_of(relative) == "tests";
        let bare = code(&text)
            .any(|(_, line)| line.contains("core::sync::atomic") || line.contains("std::sync"));
        assert!(excepted || !bare, "{}: loom would not see these", path.display());
    }
}

/// The part of a module that a file holds.
fn part_of(file: &Path) -> &str {
    file.file_stem().and_then(|stem| stem.to_str()).expect("a file has a name")
}

/// Names that the file of `part` takes from those above it in `parts`, with their lines: `super::name`
/// and `super::{name, ...}`, tests aside.
fn upward<'a>(
    parts: &'a [&'a str],
    part: &'a str,
    text: &'a str,
) -> impl Iterator<Item = (usize, &'a str)> {
    let rank = rank(parts, part);
    let shipping = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut braces = false;
    let mut names = Vec::new();
    for (number, line) in code(shipping) {
        let mut rest = line;
        if let Some((_, after)) = line.rsplit_once("super::") {
            braces = after.starts_with('{');
            rest = after;
        } else if !braces {
            continue;
        }
        // `mod.rs` names its parts in `use part::..`; what is above it, it only declares.
        for name in rest.trim_start_matches('{').split([',', '{', '}']) {
            let name = name.trim().split([':', ';', '(', ' ']).next().unwrap_or_default();
            names.push((number, name));
            if !braces {
                break;
            }
        }
        braces &= !rest.contains(';');
    }
    names.into_iter().filter(move |(_, name)| {
        let above = match IN_ENGINE_MOD.contains(name) {
            true => parts.iter().position(|part| *part == "mod"),
            false => parts.iter().position(|part| part == name),
        };
        above.is_some_and(|above| above > rank)
    })
}

/// Every Rust file below `folder`, with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// Every Rust file of the workspace.
fn all_sources() -> Vec<(PathBuf, String)> {
    let root = support::workspace();
    let mut folders: Vec<_> =
        ["benches", "examples", "tests"].map(|folder| root.join(folder)).into();
    for (package, _) in PACKAGES {
        let package = root.join(package);
        folders.extend([package.join("src"), package.join("tests")]);
    }
    folders.sort();
    folders.dedup();
    folders.iter().filter(|folder| folder.is_dir()).flat_map(|folder| sources(folder)).collect()
}

/// Lines that are not comments, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether `path` stands in `line` as the beginning of a path, not as the end of another name.
fn mentions(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !(before.is_alphanumeric() || before == '_' || before == ':'))
    })
}

/// The top-level modules that a file names after `crate::`, within braces too.
fn uses(text: &str) -> BTreeSet<String> {
    let code: String = code(text).map(|(_, line)| format!("{line}\n")).collect();
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => group[..group.find('}').unwrap_or(group.len())].split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let name: String =
                name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if name.starts_with(|first: char| first.is_lowercase()) {
                used.insert(name);
            }
        }
    }
    used
}

fn top_module(relative: &Path) -> String {
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn rank(order: &[&str], module: &str) -> usize {
    let rank = order.iter().position(|name| *name == module);
    rank.unwrap_or_else(|| panic!("module '{module}' has no place in the order: {order:?}"))
}

/// A circle in the graph, if it has one.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        module: &str,
        graph: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        if path.iter().any(|on_path| on_path == module) {
            path.push(module.to_owned());
            return true;
        }
        if done.contains(module) {
            return false;
        }
        path.push(module.to_owned());
        if graph.get(module).into_iter().flatten().any(|used| visit(used, graph, path, done)) {
            return true;
        }
        path.pop();
        done.insert(module.to_owned());
        false
    }
    let (mut path, mut done) = (Vec::new(), BTreeSet::new());
    graph.keys().any(|module| visit(module, graph, &mut path, &mut done)).then_some(path)
}

/// Lines of unsafe blocks and implementations that no SAFETY comment stands before, and how many there
/// are in all. The comment stands in the lines right above, up to a blank line, or on the line itself.
fn undocumented_unsafe(text: &str) -> (Vec<usize>, usize) {
    let lines: Vec<&str> = text.lines().collect();
    let (mut undocumented, mut found) = (Vec::new(), 0);
    for (number, line) in code(text) {
        if !(line.contains(concat!("uns", "afe {")) || line.contains(concat!("uns", "afe impl"))) {
            continue;
        }
        found += 1;
        let above =
            lines[..number - 1].iter().rev().take(16).take_while(|line| !line.trim().is_empty());
        if !above.chain([&line]).any(|line| line.contains("SAFETY:")) {
            undocumented.push(number);
        }
    }
    (undocumented, found)
}
