//! The stress tool; see the library for its parts.

use std::process::ExitCode;

use drystone_stress::allocators::{linked, process};
use drystone_stress::cmd;

fn main() -> ExitCode {
    cmd::main(&[linked::LIST, linked::DRYSTONE, linked::ENGINE, process::SYSTEM])
}
