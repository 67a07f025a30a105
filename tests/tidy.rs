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
/// The files of `engine`, lowest first: each may import those before it.
const ENGINE: &[&str] = &[
    "classes",
    "slab/ledger",
    "slab/mod",
    "slab/owned",
    "slab/placeholder",
    "slab/list",
    "slab/owner",
    "slab/remote",
    "slab/life",
    "slab/check",
    "huge/header",
    "pagemap/mod",
    "heap/mod",
    "heap/refill",
    "span/mod",
    "span/arenas",
    "span/decay",
    "span/allocate",
    "span/check",
    "huge/mod",
    "shared/deferred",
    "shared/mod",
    "shared/headers",
    "shared/abandoned",
    "engine",
    "report",
    "sweep",
    "abandon",
    "maintain",
    "alloc",
    "free",
    "resize",
    "stats",
    "check/mod",
    "quarantine/mod",
    "global/tls",
    "global/instance",
    "global/process",
    "global/fast",
    "global/slow",
    "global/mod",
    "global/realloc",
    "global/global_alloc",
    "global/sized",
    "mod",
];
/// What each package may use of the others.
const PACKAGES: &[(&str, &[&str])] = &[
    (".", &[]),
    ("capi", &["drystone"]),
    ("peers", &["drystone_workloads"]),
    ("recorder", &["drystone_workloads"]),
    ("results", &[]),
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
fn the_engines_files_import_only_those_below() {
    let folder = support::workspace().join("src/engine");
    let mut edges = 0;
    for (path, text) in sources(&folder) {
        let file = path.strip_prefix(&folder).unwrap().with_extension("");
        let file = file.to_str().unwrap();
        if part_of(&path) == "tests" {
            continue;
        }
        assert!(ENGINE.contains(&file), "{file}: is not in ENGINE");
        edges += engine_imports(file, &text).len();
        if let Some(used) = upward(file, &text).first() {
            panic!("{}: imports '{used}', which lies above it", path.display());
        }
    }
    assert!(edges > 100, "only {edges} imports found: the search is broken");
    for file in ENGINE {
        assert!(folder.join(file).with_extension("rs").exists(), "{file}: there is no such file");
    }
}

#[test]
fn an_upward_import_inside_the_engine_is_found() {
    let up = |file, text| upward(file, text);
    let none: [&str; 0] = [];
    assert_eq!(up("slab/mod", "use crate::engine::slab::ledger::{END, Entry};\n"), none);
    assert_eq!(up("slab/mod", "use crate::engine::slab::remote::Marked;\n"), ["slab/remote"]);
    assert_eq!(up("slab/mod", "use super::pagemap::PageMap;\n"), ["pagemap/mod"]);
    assert_eq!(up("slab/owner", "use super::{Slab, remote};\n"), ["slab/remote"]);
    assert_eq!(
        up("heap/mod", "use crate::engine::{\n    classes,\n    engine::Engine,\n};\n"),
        ["engine"]
    );
    assert_eq!(up("heap/mod", "    let x = crate::engine::free::x();\n"), ["free"]);
    assert_eq!(up("free", "use crate::engine::Engine;\n// crate::engine::global\n"), ["mod"]);
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

/// The files of `engine` that a file of it imports and that lie above it.
fn upward(file: &str, text: &str) -> Vec<&'static str> {
    let rank = rank(ENGINE, file);
    let imported = engine_imports(file, text).into_iter();
    imported.filter(|used| self::rank(ENGINE, used) > rank).collect()
}

/// The files of `engine` that a file of it names, tests aside: after `crate::engine::` and after `super::`.
fn engine_imports(file: &str, text: &str) -> Vec<&'static str> {
    let shipping = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = code(shipping).map(|(_, line)| format!("{line}\n")).collect();
    // The module that a file is: `slab/mod` is `slab`.
    let module: Vec<&str> = file.split('/').filter(|part| *part != "mod").collect();
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::engine::") {
        paths.extend(expand(&code[at + "crate::engine::".len()..]));
    }
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let up = code[at..].split("::").take_while(|part| *part == "super").count();
        let above = module[..module.len().saturating_sub(up)].join("/");
        let rest = expand(&code[at + up * "super::".len()..]);
        paths.extend(rest.iter().map(|path| format!("{above}/{path}")));
    }
    paths.iter().filter_map(|path| file_of(path)).filter(|used| *used != file).collect()
}

/// The paths that the text of an import stands for, with `/` between their parts.
fn expand(text: &str) -> Vec<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let (path, rest) = text.split_at(end.unwrap_or(text.len()));
    let Some(group) = rest.strip_prefix('{') else { return vec![path.replace("::", "/")] };
    let mut depth = 1;
    let mut starts = vec![0];
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => starts.push(at + 1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    let parts = starts.iter().map(|start| group[*start..].trim_start());
    let parts = parts.filter(|part| !part.starts_with('}')).flat_map(expand);
    parts.map(|part| format!("{}{part}", path.replace("::", "/"))).collect()
}

/// The file of `engine` that a path leads into: the longest that it begins with, else `mod`.
fn file_of(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let candidates = (1..=parts.len()).rev().map(|count| parts[..count].join("/"));
    let found = candidates.filter_map(|path| {
        ENGINE.iter().find(|file| **file == path || **file == format!("{path}/mod"))
    });
    found.copied().next().or(Some("mod"))
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
