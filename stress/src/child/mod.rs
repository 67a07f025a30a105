//! The child process: makes one run and reports to the supervisor.
//!
//! | file | holds |
//! |---|---|
//! | `run` | the run: its workload, its rounds |
//! | [`inject`] | the scenario under failing calls to the OS, in place of a workload |
//! | `play` | a journal's calls in their order, in place of a workload |
//! | [`workload`] | what the workers do, a file or folder for each workload |
//! | [`workers`] | how they are started, and what they meet at |
//! | `at_rest` | what is judged of the whole heap |
//! | `progress` | what the supervisor hears |
//! | `hangs` | calls that never return |
//! | [`violation_handler`] | how a violation becomes a finding and ends the process |
//! | [`crash_handler`], [`panics`] | what is said when a signal, or a panic, ends it |
//!
//! The process has one run, and is thrown away after the first violation: nothing in it can be
//! relied on then. The runner and the subcommands call [`main`]; nothing here knows who waits for
//! it.

mod at_rest;
pub mod crash_handler;
mod hangs;
pub mod inject;
pub mod panics;
mod play;
mod progress;
mod run;
pub mod violation_handler;
pub mod workers;
pub mod workload;

use drystone_harness::exit;
use drystone_harness::process::preload::die_with_the_parent;

use crate::allocators::process::AllocatorEntry;
use crate::child::panics::end_at_a_panic;
use crate::child::run::Run;
use crate::model::message::{self, Message};

/// Makes the run that `argument` describes, and returns the process's exit code.
pub fn main(argument: &str, allocators: &[AllocatorEntry]) -> u8 {
    die_with_the_parent();
    end_at_a_panic();
    let run = Run::open(argument, allocators);
    let run = match run {
        Ok(run) => run,
        Err(why) => {
            message::send(&Message::Rejected { why: format!("{why:#}") });
            return exit::FAILED;
        }
    };
    message::send(&Message::Ready);
    if let Err(why) = run.work() {
        message::send(&Message::Rejected { why: format!("{why:#}") });
        return exit::FAILED;
    }
    message::send(&run.end());
    exit::FINE
}
