//! The stress tool; see the library for its parts.

use std::process::ExitCode;

use drystone_stress::{linked, subject, tool};

fn main() -> ExitCode {
    tool::main(&[linked::LIST, linked::DRYSTONE, linked::ENGINE, subject::SYSTEM])
}
