//! What tests across packages share: the shared libraries they preload, built on demand.

// Each test file uses its part of this.
#![allow(dead_code, unused_imports)]

mod has;

pub use has::has;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's root folder.
pub fn workspace() -> PathBuf {
    let mut folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    while !folder.join("Cargo.lock").exists() {
        folder = folder.parent().expect("the workspace's root holds Cargo.lock");
    }
    folder.to_path_buf()
}

/// Builds `package` in the release profile and returns the path of its artifact `file`, such as
/// `libdrystone.so`. `cargo test` builds no shared library on its own for a test to preload.
pub fn shared_library(package: &str, file: &str) -> PathBuf {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => workspace().join("target"),
    };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--package", package])
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "cargo build --release --package {package} failed");
    let library = target.join("release").join(file);
    assert!(library.exists(), "{} was not built", library.display());
    library
}
