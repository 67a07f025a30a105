//! The modules of one target, with the files they lie in.

use std::collections::BTreeMap;

use super::file::{Files, facts};
use super::manifest::{Kind, join};
use crate::source::facts::Declared;

/// A target's modules; the first is its root.
#[derive(Debug)]
pub struct Crate {
    /// The package, by its place among the repository's.
    pub package: usize,
    pub kind: Kind,
    pub nodes: Vec<Node>,
}

/// A module.
#[derive(Debug)]
pub struct Node {
    /// Its file, and which of the file's modules it is.
    pub file: String,
    pub place: usize,
    pub parent: Option<usize>,
    pub children: BTreeMap<String, usize>,
    /// Whether it is compiled for tests alone.
    pub test: bool,
}

impl Crate {
    /// Follows the `mod` declarations from `root`.
    pub fn read(files: &Files, package: usize, kind: Kind, root: &str) -> Crate {
        let mut modules = Crate { package, kind, nodes: Vec::new() };
        modules.add_file(files, root, None, "", false);
        modules
    }

    /// Adds a file's modules below `parent`. `stem` is what the folder of its children is called
    /// inside the file's own folder; it is empty for a root and for `mod.rs`.
    fn add_file(
        &mut self,
        files: &Files,
        file: &str,
        parent: Option<usize>,
        stem: &str,
        test: bool,
    ) -> usize {
        let first = self.nodes.len();
        let Some(facts) = facts(files, file) else {
            self.add(file, 0, parent, test);
            return first;
        };
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut numbers = Vec::new();
        let mut folders = Vec::<String>::new();
        for (place, module) in facts.modules.iter().enumerate() {
            let around = module.parent.map(|parent| numbers[parent]).or(parent);
            let number = self.add(file, place, around, test || module.test);
            if let Some(outer) = module.parent {
                self.nodes[numbers[outer]].children.insert(module.name.clone(), number);
            }
            let inside = match module.parent {
                None => join(folder, stem),
                Some(outer) => join(&folders[outer], &module.name),
            };
            numbers.push(number);
            folders.push(inside);
        }
        for (place, module) in facts.modules.iter().enumerate() {
            for declared in &module.declared {
                let beside = if place == 0 { folder } else { &folders[place] };
                let test = test || module.test || declared.test;
                let Some((path, stem)) = file_of(files, declared, beside, &folders[place]) else {
                    continue;
                };
                let child = self.add_file(files, &path, Some(numbers[place]), &stem, test);
                self.nodes[numbers[place]].children.insert(declared.name.clone(), child);
            }
        }
        first
    }

    fn add(&mut self, file: &str, place: usize, parent: Option<usize>, test: bool) -> usize {
        let children = BTreeMap::new();
        self.nodes.push(Node { file: file.to_owned(), place, parent, children, test });
        self.nodes.len() - 1
    }
}

/// The file of a declared module, and the name of the folder beside it that holds its children.
fn file_of(
    files: &Files,
    declared: &Declared,
    beside: &str,
    folder: &str,
) -> Option<(String, String)> {
    let with_stem = |path: String| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let stem = if name == "mod.rs" { "" } else { name.trim_end_matches(".rs") };
        let stem = stem.to_owned();
        (path, stem)
    };
    if let Some(path) = &declared.path {
        // A file that is named by its path is like a `mod.rs`: its children lie beside it.
        return Some((join(beside, path), String::new()));
    }
    let plain = join(folder, &format!("{}.rs", declared.name));
    let nested = join(folder, &format!("{}/mod.rs", declared.name));
    [plain, nested].into_iter().find(|path| files.contains_key(path)).map(with_stem)
}
