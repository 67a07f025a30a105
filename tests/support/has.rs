//! What a test does that needs a program which not every machine has: it says so and is passed
//! over. Not in CI, which has all of them, and where a test that did not run must not look as if it
//! had.

use std::process::{Command, Stdio};

/// Whether `program` can be run here: in Debian it is of `package`.
#[must_use]
pub fn has(program: &str, package: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(program).is_file());
    or_passed_over(found, program, package)
}

/// Whether `python3` can import `module`, which in Debian is of `package`.
#[must_use]
pub fn has_module(module: &str, package: &str) -> bool {
    has("python3", "python3") && {
        let mut python = Command::new("python3");
        python.args(["-c", &format!("import {module}")]).stderr(Stdio::null());
        let found = python.status().expect("python3 runs").success();
        or_passed_over(found, &format!("python3's {module}"), package)
    }
}

fn or_passed_over(found: bool, what: &str, package: &str) -> bool {
    if !found {
        let why = format!("needs {what}: install Debian's {package}");
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("passed over: {why}");
    }
    found
}
