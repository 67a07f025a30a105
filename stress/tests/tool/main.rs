//! The tools as their users see them: arguments, output, exit codes. One binary: each more is
//! linked with everything anew.

#[path = "../support/mod.rs"]
mod support;

mod bench_cli;
mod cli;
mod conform_cli;
mod conform_zoo;
mod cost_cli;
mod faulty;
mod faulty_libraries;
mod findings;
mod help_cli;
mod inject_cli;
mod programs_cli;
