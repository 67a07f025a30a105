//! A program that depends on Drystone gets nothing else with it but `libc`.

use std::fs;
use std::process::Command;

use crate::support;

/// Loom, say, even under a `cfg` that the program never sets, would be in its lock file with 38
/// packages.
#[test]
fn a_dependents_lock_file_holds_drystone_and_libc() {
    let folder = tempfile::tempdir().unwrap();
    let drystone = support::workspace();
    let manifest = format!(
        "[package]\nname = \"dependent\"\nedition = \"2024\"\n\n\
         [dependencies]\ndrystone = {{ path = {drystone:?} }}\n\n[workspace]\n"
    );
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/main.rs"), "fn main() {}\n").unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["generate-lockfile", "--offline"])
        .current_dir(folder.path())
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lock = fs::read_to_string(folder.path().join("Cargo.lock")).unwrap();
    let names: Vec<_> = lock.lines().filter_map(|line| line.strip_prefix("name = ")).collect();
    assert_eq!(names, ["\"dependent\"", "\"drystone\"", "\"libc\""]);
}
