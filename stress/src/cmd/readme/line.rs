//! A line of the comparison.

use drystone_harness::allocators::{DRYSTONE, SYSTEM};

/// What is known of an allocator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// As it is printed.
    pub name: String,
    /// Whether it is the one that the page is about.
    pub ours: bool,
    /// The mean of its times, to the one that ratios are to.
    pub time: f64,
    /// The same of its peaks.
    pub peak: f64,
    /// How often it reports a double free.
    pub reports: Reports,
}

/// How often a double free is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reports {
    /// All of them.
    Always,
    /// Some.
    Sometimes,
    /// None.
    Never,
}

impl Reports {
    /// From how many were reported and how many were made.
    pub(super) fn of(reported: usize, made: usize) -> Reports {
        match reported {
            0 => Reports::Never,
            all if all == made => Reports::Always,
            _ => Reports::Sometimes,
        }
    }

    /// In a word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Reports::Always => "always",
            Reports::Sometimes => "sometimes",
            Reports::Never => "never",
        }
    }
}

/// An allocator with its version: `glibc 2.36`, `mimalloc 2.3.2`; ours has that of the page.
pub(super) fn named(name: &str, version: &str) -> String {
    let number = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    match (name, version.split_whitespace().find(number)) {
        (DRYSTONE, _) | (_, None) => name.to_owned(),
        (SYSTEM, Some(number)) => format!("glibc {number}"),
        (_, Some(number)) => format!("{name} {}", number.trim_end_matches([',', ';', ')'])),
    }
}

#[test]
fn names_have_versions_and_ours_has_none() {
    assert_eq!(named("system", "glibc 2.36 of this machine"), "glibc 2.36");
    assert_eq!(named("jemalloc", "5.3.0-0-g54eaed1d"), "jemalloc 5.3.0-0-g54eaed1d");
    assert_eq!(named("drystone", "0.1.0"), "drystone");
    assert_eq!(named("new", "of that file"), "new");
}

#[test]
fn always_is_all_and_never_is_none() {
    assert_eq!(
        [(4, 4), (3, 4), (0, 4)].map(|(reported, made)| Reports::of(reported, made)),
        [Reports::Always, Reports::Sometimes, Reports::Never]
    );
}
