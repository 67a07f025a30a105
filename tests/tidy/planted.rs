//! Small repositories with a violation planted in each.

use std::fs;

use crate::violation::Violation;
use crate::workspace::Tree;

/// A repository of these files.
pub fn tree(files: &[(&str, &str)]) -> Tree {
    let folder = tempfile::tempdir().expect("a folder for the planted files");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
        fs::write(path, text).expect("a planted file");
    }
    Tree::read(folder.path())
}

/// One package with these files.
pub fn package(files: &[(&str, &str)]) -> Tree {
    let manifest = ("Cargo.toml", "[package]\nname = \"one\"\n");
    tree(&[&[manifest], files].concat())
}

/// What a check found, a line each.
pub fn shown(found: impl IntoIterator<Item = Violation>) -> String {
    found.into_iter().map(|violation| format!("{violation}\n")).collect()
}
