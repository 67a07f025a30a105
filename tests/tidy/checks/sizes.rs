//! Files, functions and folders that a reader can take in.

use std::collections::BTreeMap;

use crate::violation::Violation;
use crate::workspace::Tree;

/// Lines of a file that ships, comments and blank lines too; tests that stand in it don't count.
const FILE: usize = 500;
/// Lines of a file of tests: a list of cases is read one case at a time.
const TEST_FILE: usize = 700;
/// Lines of a function, from its `fn` to its closing brace: what fits on a screen.
const FUNCTION: usize = 60;
/// Files loose in one folder, of any kind. Above it, a folder is a drawer.
const FOLDER: usize = 12;

/// Files that are too long.
pub fn files(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, file, facts) in tree.rust() {
        let test = tree.is_test(path);
        let bound = if test { TEST_FILE } else { FILE };
        let inline = facts.modules.iter().skip(1).filter(|module| {
            let around = module.parent.map(|parent| facts.modules[parent].test);
            module.test && around == Some(false)
        });
        let tests: usize = inline.map(|module| module.lines.1 + 1 - module.lines.0).sum();
        let lines = file.text.lines().count() - if test { 0 } else { tests };
        if lines > bound {
            let says = format!("{lines} lines, {bound} are allowed; split it by what its parts do");
            found.push(Violation::new(path, 1, says));
        }
    }
    found
}

/// Functions that don't fit on a screen.
pub fn functions(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, _, facts) in tree.rust() {
        for function in &facts.functions {
            let lines = function.lines.1 + 1 - function.lines.0;
            if lines > FUNCTION {
                let name = &function.name;
                let says = format!(
                    "`{name}` has {lines} lines, {FUNCTION} are allowed; give its steps names"
                );
                found.push(Violation::new(path, function.lines.0, says));
            }
        }
    }
    found
}

/// Folders that hold too many files.
pub fn folders(tree: &Tree) -> Vec<Violation> {
    let mut loose = BTreeMap::<&str, usize>::new();
    for path in tree.files.keys() {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        *loose.entry(folder).or_default() += 1;
    }
    let over = loose.into_iter().filter(|(_, files)| *files > FOLDER);
    let says = |files| format!("{files} loose files, {FOLDER} are allowed; make rooms");
    over.map(|(folder, files)| Violation::new(&format!("{folder}/"), 1, says(files))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::{package, shown};

    #[test]
    fn a_long_file_fires_and_its_tests_dont_count() {
        let long = "// A line.\n".repeat(FILE);
        let with_tests = format!("{long}// One more.\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        let tree = package(&[
            ("src/lib.rs", &format!("mod long;\n{}", &long[11..])),
            ("src/long.rs", &format!("{long}// One more.\n")),
            ("src/bin/one.rs", &with_tests[..with_tests.len() - 1]),
            ("tests/short.rs", &long.repeat(2)[..TEST_FILE * 11]),
            ("tests/long.rs", &long.repeat(2)),
        ]);
        let shown = shown(files(&tree));
        assert!(shown.contains("src/long.rs:1: 501 lines, 500 are allowed"), "{shown}");
        assert!(shown.contains("tests/long.rs:1: 1000 lines, 700 are allowed"), "{shown}");
        assert!(shown.contains("src/bin/one.rs:1: 501 lines"), "{shown}");
        assert_eq!(shown.lines().count(), 3, "{shown}");
    }

    #[test]
    fn a_long_function_fires_in_an_implementation_too() {
        let body = "        f();\n".repeat(FUNCTION - 1);
        let text = format!("struct A;\nimpl A {{\n    fn g() {{\n{body}    }}\n}}\n");
        let shown = shown(functions(&package(&[("src/lib.rs", &text)])));
        assert_eq!(shown, "src/lib.rs:3: `g` has 61 lines, 60 are allowed; give its steps names\n");
        let fits = text.replacen("        f();\n", "", 1);
        assert!(functions(&package(&[("src/lib.rs", &fits)])).is_empty());
    }

    #[test]
    fn a_long_function_in_a_macro_fires() {
        let body = "        f();\n".repeat(FUNCTION - 1);
        let text = format!(
            "proptest! {{\n    #[test]\n    fn g(x in 0..9, f: fn(usize)) {{\n{body}    }}\n}}\n"
        );
        let shown = shown(functions(&package(&[("src/lib.rs", &text)])));
        assert_eq!(shown, "src/lib.rs:3: `g` has 61 lines, 60 are allowed; give its steps names\n");
    }

    #[test]
    fn a_drawer_fires() {
        let names: Vec<String> = (0..FOLDER).map(|file| format!("src/f{file}.rs")).collect();
        let mut planted: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert!(folders(&package(&planted)).is_empty());
        planted.push(("src/table.txt", ""));
        assert_eq!(
            shown(folders(&package(&planted))),
            "src/:1: 13 loose files, 12 are allowed; make rooms\n"
        );
    }
}
