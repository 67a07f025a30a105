//! Whether instructions can be counted.

use std::process::Command;

/// Whether there is a valgrind.
pub fn can_count() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}
