//! Every file of the repository that git would take, read once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use toml::Table;

use super::crates::Crate;
use super::file::{File, Files, facts};
use super::manifest::{self, Kind, Package};
use crate::source::{self, facts::Facts};
use crate::violation::Violation;

/// The repository.
#[derive(Debug)]
pub struct Tree {
    /// By path below the root, with `/`.
    pub files: Files,
    pub packages: Vec<Package>,
    /// The modules of every target, those of a package together.
    pub crates: Vec<Crate>,
    /// What could not be read.
    pub unreadable: Vec<Violation>,
}

impl Tree {
    /// Reads the repository at `root`.
    pub fn read(root: &Path) -> Tree {
        let mut tree = Tree {
            files: BTreeMap::new(),
            packages: Vec::new(),
            crates: Vec::new(),
            unreadable: Vec::new(),
        };
        for path in walk(root) {
            let relative = path.strip_prefix(root).expect("a walk stays below its root");
            let name = relative.to_str().expect("names are UTF-8").to_owned();
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut file = File { text: String::from_utf8(bytes).unwrap_or_default(), facts: None };
            if name.ends_with(".rs") {
                match source::read(&file.text) {
                    Ok(facts) => file.facts = Some(facts),
                    Err(error) => tree.unreadable.push(Violation::new(
                        &name,
                        error.split(':').next().and_then(|line| line.parse().ok()).unwrap_or(1),
                        format!("write Rust that parses: {error}"),
                    )),
                }
            }
            tree.files.insert(name, file);
        }
        tree.find_packages();
        tree.crates = tree
            .packages
            .iter()
            .enumerate()
            .flat_map(|(number, package)| {
                package.targets.iter().map(move |target| (number, target))
            })
            .map(|(number, target)| Crate::read(&tree.files, number, target.kind, &target.file))
            .collect();
        tree
    }

    /// What is known of a Rust file.
    pub fn facts(&self, file: &str) -> Option<&Facts> {
        facts(&self.files, file)
    }

    /// All Rust files with what is known of them.
    pub fn rust(&self) -> impl Iterator<Item = (&str, &File, &Facts)> {
        self.files
            .iter()
            .filter_map(|(path, file)| Some((path.as_str(), file, file.facts.as_ref()?)))
    }

    /// All Markdown files.
    pub fn markdown(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.files.iter().map(|(path, file)| (path.as_str(), file.text.as_str()));
        files.filter(|(path, _)| path.ends_with(".md") && !path.contains("/snapshots/"))
    }

    /// Whether a file is compiled for tests alone: below a `tests` folder, or `#[cfg(test)] mod
    /// x;`.
    pub fn is_test(&self, file: &str) -> bool {
        let mut shipped = false;
        let mut tested = false;
        for one in &self.crates {
            for node in one.nodes.iter().filter(|node| node.file == file) {
                let test = node.test || one.kind == Kind::Test;
                tested |= test;
                shipped |= !test;
            }
        }
        !shipped && (tested || file.starts_with("tests/") || file.contains("/tests/"))
    }

    fn find_packages(&mut self) {
        let names: BTreeSet<&str> = self.files.keys().map(String::as_str).collect();
        let read = |path: &str| self.files.get(path).map(|file| file.text.clone());
        let root: Table = read("Cargo.toml").and_then(|text| text.parse().ok()).unwrap_or_default();
        let manifests = names.iter().filter_map(|name| match *name {
            "Cargo.toml" => Some(""),
            name => name.strip_suffix("/Cargo.toml"),
        });
        for folder in manifests {
            let path = manifest::join(folder, "Cargo.toml");
            match manifest::package(folder, &self.files[&path].text, &root, &names) {
                Ok(package) => self.packages.extend(package),
                Err(error) => {
                    let says = format!("write a manifest that parses: {error}");
                    self.unreadable.push(Violation::new(&path, 1, says));
                }
            }
        }
    }
}

fn walk(root: &Path) -> Vec<PathBuf> {
    let mut walk = WalkBuilder::new(root);
    walk.hidden(false).parents(false).git_global(false).git_exclude(false).require_git(false);
    walk.filter_entry(|entry| entry.file_name() != ".git" && entry.file_name() != "target");
    let entries = walk.build().map(|entry| entry.unwrap_or_else(|error| panic!("{error}")));
    entries
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .map(ignore::DirEntry::into_path)
        .collect()
}

#[test]
fn rust_that_does_not_parse_is_named_by_its_line() {
    let tree = crate::planted::package(&[("src/lib.rs", "fn f() {}\nfn (\n")]);
    let shown = crate::planted::shown(tree.unreadable);
    assert!(shown.starts_with("src/lib.rs:2: write Rust that parses"), "{shown}");
}

#[test]
fn what_git_ignores_is_no_part_of_the_repository() {
    let tree = crate::planted::package(&[
        (".gitignore", "/out/\n"),
        ("out/a.rs", ""),
        ("target/b.rs", ""),
        (".ci/run", ""),
    ]);
    assert_eq!(tree.files.keys().collect::<Vec<_>>(), [".ci/run", ".gitignore", "Cargo.toml"]);
}
