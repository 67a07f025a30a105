//! What each package may use of the others, in one table.

use crate::violation::Violation;
use crate::workspace::{Tree, Use};

/// A package's row.
struct May {
    /// Its folder.
    package: &'static str,
    /// The folders of the packages it may use, which stand above it in the table.
    uses: &'static [&'static str],
    /// Those that its tests, benches and examples may use besides.
    tests_use: &'static [&'static str],
}

/// The packages, lowest first: each may use only those above it. A new package gets a row; a
/// package that goes loses its own.
const PACKAGES: &[May] = &[
    May { package: "workloads", uses: &[], tests_use: &[] },
    // The seal alone: what writes tables into documents may use it.
    May { package: "tests/tidy", uses: &[], tests_use: &[] },
    May { package: "peers", uses: &["workloads"], tests_use: &[] },
    May { package: "recorder", uses: &["workloads"], tests_use: &[] },
    // The allocator uses none: whoever depends on it gets `libc` alone.
    May { package: ".", uses: &[], tests_use: &["workloads", "peers"] },
    May { package: "capi", uses: &["."], tests_use: &[] },
    // Compiles the allocator's own source, on loom's atomics.
    May { package: "models", uses: &[], tests_use: &[] },
    May { package: "results", uses: &["workloads"], tests_use: &[] },
    // Wraps any malloc and free; another allocator's author uses it without the rest.
    May { package: "stress/checker", uses: &["workloads"], tests_use: &[] },
    // Knows no allocator, no check and no subcommand.
    May { package: "stress/harness", uses: &["workloads"], tests_use: &[] },
    May { package: "stress/conform", uses: &["workloads", "stress/harness"], tests_use: &[] },
    May { package: "stress/measure", uses: &["workloads", "stress/harness"], tests_use: &[] },
    May {
        package: "stress",
        uses: &[
            "workloads",
            ".",
            "stress/checker",
            "stress/harness",
            "stress/conform",
            "stress/measure",
            "tests/tidy",
        ],
        tests_use: &[],
    },
];

/// Dependencies that the table doesn't allow, and those that it allows and nobody has; packages
/// without a row, and rows without a package.
pub fn check(tree: &Tree) -> Vec<Violation> {
    against(tree, PACKAGES)
}

fn against(tree: &Tree, table: &[May]) -> Vec<Violation> {
    let here = "tests/tidy/checks/packages.rs";
    let mut found = Vec::new();
    for (rank, row) in table.iter().enumerate() {
        let name = row.package;
        if !tree.packages.iter().any(|package| package.label() == name) {
            found.push(Violation::new(
                here,
                1,
                format!("delete the row of `{name}`: there is none"),
            ));
        }
        for used in row.uses.iter().chain(row.tests_use) {
            if !table[..rank].iter().any(|below| below.package == *used) {
                let says = format!("the row of `{used}` must stand above that of `{name}`");
                found.push(Violation::new(here, 1, says));
            }
        }
    }
    for package in tree.packages.iter().filter(|package| package.member) {
        let manifest = package.path("Cargo.toml");
        let Some(row) = table.iter().find(|row| row.package == package.label()) else {
            let says = format!("add a row for `{}` to PACKAGES in {here}", package.label());
            found.push(Violation::new(&manifest, 1, says));
            continue;
        };
        for (allowed, tests) in row
            .uses
            .iter()
            .map(|used| (used, false))
            .chain(row.tests_use.iter().map(|used| (used, true)))
        {
            let uses = |used: &Use| label(used) == *allowed && used.tests == tests;
            if !package.uses.iter().any(uses) {
                let says = format!("delete `{allowed}` from the row of `{}`: unused", row.package);
                found.push(Violation::new(here, 1, says));
            }
        }
        for used in &package.uses {
            let name = label(used);
            let allowed = row.uses.contains(&name) || used.tests && row.tests_use.contains(&name);
            // A package may be named by its own tests.
            if !allowed && used.folder != package.folder {
                let says = format!(
                    "`{}` must not use `{name}`: it lies above or apart (PACKAGES in {here})",
                    package.label()
                );
                found.push(Violation::new(&manifest, used.line, says));
            }
        }
    }
    found
}

/// Packages without a README, or with one that is too long, or doesn't say who may use the package.
/// The root's is the project's: it is written for strangers.
pub fn readmes(tree: &Tree) -> Vec<Violation> {
    const LINES: usize = 50;
    let mut found = Vec::new();
    for package in tree.packages.iter().filter(|one| one.member && !one.folder.is_empty()) {
        let path = package.path("README.md");
        let Some(readme) = tree.files.get(&path) else {
            found.push(Violation::new(&path, 1, "write one, which says who may use the package"));
            continue;
        };
        let lines = readme.text.lines().count();
        if lines >= LINES {
            let says =
                format!("{lines} lines, fewer than {LINES} are allowed; move the rest to docs");
            found.push(Violation::new(&path, 1, says));
        }
        if !readme.text.to_lowercase().contains("who may use it") {
            found.push(Violation::new(&path, 1, "say \"who may use it\""));
        }
    }
    found
}

fn label(used: &Use) -> &str {
    if used.folder.is_empty() { "." } else { &used.folder }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::{shown, tree};

    const TABLE: &[May] = &[
        May { package: "low", uses: &[], tests_use: &[] },
        May { package: "high", uses: &["low"], tests_use: &[] },
    ];

    fn workspace(low: &str, high: &str) -> Tree {
        tree(&[
            (
                "Cargo.toml",
                "[workspace]\nmembers = [\"low\", \"high\"]\n\
                 [workspace.dependencies]\nlow = { path = \"low\" }\n",
            ),
            ("low/Cargo.toml", &format!("[package]\nname = \"low\"\n{low}")),
            ("low/src/lib.rs", ""),
            ("high/Cargo.toml", &format!("[package]\nname = \"high\"\n{high}")),
            ("high/src/lib.rs", ""),
        ])
    }

    #[test]
    fn a_dependency_downward_is_allowed() {
        let tree = workspace("", "[dependencies]\nlow.workspace = true\n");
        assert_eq!(shown(against(&tree, TABLE)), "");
    }

    #[test]
    fn a_dependency_upward_fires_by_its_line() {
        let tree =
            workspace("[dependencies]\nother = { package = \"high\", path = \"../high\" }\n", "");
        let shown = shown(against(&tree, TABLE));
        assert!(shown.contains("low/Cargo.toml:4: `low` must not use `high`"), "{shown}");
    }

    #[test]
    fn what_tests_may_use_a_library_may_not() {
        let table = [
            May { package: "low", uses: &[], tests_use: &[] },
            May { package: "high", uses: &[], tests_use: &["low"] },
        ];
        let tests = workspace("", "[dev-dependencies]\nlow.workspace = true\n");
        assert_eq!(shown(against(&tests, &table)), "");
        let ships = workspace("", "[dependencies]\nlow.workspace = true\n");
        assert!(shown(against(&ships, &table)).contains("high/Cargo.toml:4"));
    }

    #[test]
    fn a_package_without_a_readme_or_with_another_fires() {
        let readmes_of = |text: &str| {
            let files = [
                ("Cargo.toml", "[workspace]\nmembers = [\"low\"]\n"),
                ("low/Cargo.toml", "[package]\nname = \"low\"\n"),
                ("low/src/lib.rs", ""),
                ("low/README.md", text),
            ];
            shown(readmes(&tree(&files[..if text.is_empty() { 3 } else { 4 }])))
        };
        assert_eq!(readmes_of("# low\n\n**Who may use it:** all.\n"), "");
        let none = "low/README.md:1: write one, which says who may use the package\n";
        assert_eq!(readmes_of(""), none);
        assert_eq!(readmes_of("# low\n"), "low/README.md:1: say \"who may use it\"\n");
        let long = readmes_of(&format!("who may use it{}", "\n".repeat(50)));
        assert!(long.starts_with("low/README.md:1: 50 lines, fewer than 50"), "{long}");
    }

    #[test]
    fn what_a_row_allows_and_nobody_uses_fires() {
        let shown = shown(against(&workspace("", ""), TABLE));
        assert_eq!(
            shown,
            "tests/tidy/checks/packages.rs:1: delete `low` from the row of `high`: unused\n"
        );
        let tests = workspace("", "[dev-dependencies]\nlow.workspace = true\n");
        assert!(crate::planted::shown(against(&tests, TABLE)).contains("delete `low`"));
    }

    #[test]
    fn a_new_package_and_a_stale_row_fire() {
        let table = [
            May { package: "low", uses: &[], tests_use: &[] },
            May { package: "gone", uses: &[], tests_use: &[] },
        ];
        let shown = shown(against(&workspace("", ""), &table));
        assert!(shown.contains("high/Cargo.toml:1: add a row for `high`"), "{shown}");
        assert!(shown.contains("delete the row of `gone`"), "{shown}");
    }
}
