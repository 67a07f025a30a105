//! What the tests of the tools as their users see them share: a run, its words and its report, and
//! libraries to preload.

// Each test file uses its part of this.
#![allow(dead_code, unused_imports)]

#[path = "../../../tests/support/has.rs"]
mod has;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

pub use has::{has, has_module};
use serde_json::Value;

/// A tool, and what its tests give it besides their own arguments.
pub struct Tool {
    /// Before them: its name.
    pub name: &'static [&'static str],
    /// After them.
    pub always: &'static [&'static str],
    /// After them, where a report is wanted.
    pub for_a_report: &'static [&'static str],
}

/// `cargo stress` with a test's arguments alone.
pub const PLAIN: Tool = Tool { name: &[], always: &[], for_a_report: &[] };

impl Tool {
    fn command(&self, arguments: &[&str]) -> Command {
        // Shown where a test fails.
        println!("{} {}", self.name.join(" "), arguments.join(" "));
        let mut command = stress();
        command.args(self.name).args(arguments).args(self.always);
        // Neither colours nor the width of helps are the terminal's.
        command.env_remove("NO_COLOR").env_remove("COLUMNS");
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the tool starts")
    }

    /// Starts it; [`interrupted`] ends it.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool starts")
    }

    /// Runs it with `--format json`, checks the exit code, and returns the report.
    #[track_caller]
    pub fn report(&self, code: i32, arguments: &[&str]) -> Value {
        json(&self.run(&[arguments, self.for_a_report, &["--format", "json"]].concat()), code)
    }

    /// Runs it, expects exit code 2 and nothing on standard output, and returns standard error.
    #[track_caller]
    pub fn usage_error(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        ended(&output, 2);
        assert_eq!(text(&output.stdout), "");
        text(&output.stderr).to_owned()
    }
}

/// The tool, with no arguments yet.
pub fn stress() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drystone-stress"));
    // As cargo runs it, whoever runs this test.
    command.env("CARGO_PKG_NAME", "drystone-stress");
    command
}

/// What a tool printed.
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the tool prints UTF-8")
}

/// Checks the exit code.
#[track_caller]
pub fn ended(output: &Output, code: i32) {
    let (said, printed) = (text(&output.stderr), text(&output.stdout));
    assert_eq!(output.status.code(), Some(code), "{said}{printed}");
}

/// Checks the exit code, and returns what was printed in JSON.
#[track_caller]
pub fn json(output: &Output, code: i32) -> Value {
    ended(output, code);
    serde_json::from_slice(&output.stdout).expect("the report is JSON")
}

/// Sends a signal that stops the tool; its report, which says so, and what it said besides.
#[track_caller]
pub fn interrupted(tool: Child, signal: i32) -> (Value, String) {
    // SAFETY: the process is this one's child and not waited for yet, so its number is its own.
    assert_eq!(unsafe { libc::kill(tool.id().cast_signed(), signal) }, 0);
    let output = tool.wait_with_output().unwrap();
    let report = json(&output, 3);
    assert_eq!(report["interrupted"], true);
    (report, text(&output.stderr).to_owned())
}

/// An allocator that maps every block, with a fault for each flag.
pub const PAGES: &str = include_str!("../pages.c");

/// Compiles [`PAGES`] with a fault; the library's path.
pub fn faulty(folder: &Path, flag: &str) -> String {
    library(folder, "faulty", PAGES, &[flag])
}

/// Compiles `source` as a shared library; its path. The C compiler is the one that links Rust.
pub fn library(folder: &Path, name: &str, source: &str, flags: &[&str]) -> String {
    let (c, so) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    fs::write(&c, source).unwrap();
    let status = Command::new("cc")
        // no-builtin: a compiler that knows malloc makes one of its calls into another.
        .args(["-shared", "-fPIC", "-O1", "-w", "-fno-builtin"])
        .args(flags)
        .args([&c, Path::new("-o"), &so])
        .status()
        .expect("cc runs");
    assert!(status.success(), "cc failed for {name} {flags:?}");
    so.to_str().unwrap().to_owned()
}
