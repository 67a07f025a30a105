//! Ctrl-C (and SIGTERM, SIGHUP): a flag, so that whoever is working can stop, tidy up and report.
//!
//! The handler ends nothing itself. Children run in process groups of their own (see
//! `measure::child`), so the terminal's signal reaches only this process, which passes it on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the user wants to stop. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// Only ever goes from false to true. Relaxed throughout: it carries no other data, so there is
    /// nothing for another ordering to pair with.
    flag: Arc<AtomicBool>,
}

impl Interrupt {
    /// Starts listening. If the handler cannot be installed, says so, and Ctrl-C will end the
    /// program as if there were none.
    pub fn install() -> Self {
        let interrupt = Self::default();
        let handler = interrupt.clone();
        if let Err(error) = ctrlc::set_handler(move || handler.set()) {
            eprintln!("warning: Ctrl-C will leave temporary files behind: {error}");
        }
        interrupt
    }

    /// Asks everyone to stop.
    pub fn set(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Whether someone asked to stop.
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }
}

/// That the user asked to stop, as an error: whoever meets it tidies up and passes it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}
