//! What the README shows by hand is what is printed today, numbers apart.

use std::fs;

use crate::lab::{Lab, Linked};
use crate::support;

/// A line with every number as `0`: another run has other addresses and processes.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(|first: char| first.is_ascii_digit()) {
        shape += &rest[..at];
        let number = rest[at..].strip_prefix("0x").unwrap_or(&rest[at..]);
        let end = number.find(|digit: char| !digit.is_ascii_hexdigit());
        rest = &number[end.unwrap_or(number.len())..];
        shape.push('0');
    }
    shape + rest
}

#[test]
fn the_readmes_report_is_as_the_library_prints_it() {
    let readme = fs::read_to_string(support::workspace().join("README.md")).unwrap();
    let shown = readme.lines().find(|line| line.starts_with("drystone: double free: "));
    let lab = Lab::new();
    let program = lab.compile("tests/c/misuse/misuse.c", Linked::Shared);
    let (ended, _) = lab.run(&program, &[], &["immediate"]);
    assert_eq!(shown.map(shape), ended.stderr.lines().next().map(shape));
}

#[test]
fn numbers_have_no_shape() {
    assert_eq!(shape("0x7f0a, of 112 bytes, in 4711"), "0, of 0 bytes, in 0");
}
