//! When a run ends: its time is up, or the supervisor says so.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use thiserror::Error;

use crate::exit;

/// A flag that is set once, and read before every operation.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// A flag that is not set.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Whether to stop.
    #[inline]
    pub fn is_set(&self) -> bool {
        // Relaxed: nothing is published with the flag; workers meet at barriers of their own.
        self.0.load(Ordering::Relaxed)
    }

    /// Stops.
    pub fn set(&self) {
        // Relaxed: as in `is_set`.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Sets the flag if the time is up.
    pub fn at(&self, deadline: Option<Instant>) {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.set();
        }
    }
}

/// Ctrl-C would end the tool without its report: this process can have no handler for it.
#[derive(Debug, Error)]
#[error("handling Ctrl-C")]
pub struct NoHandler(#[source] ctrlc::Error);

/// The first Ctrl-C (or SIGTERM) stops the work and the report follows; the second ends the tool.
///
/// # Errors
/// A handler can't be installed.
pub fn at_ctrl_c(stop: &'static Stop) -> Result<(), NoHandler> {
    static BEFORE: AtomicBool = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        // Relaxed: nothing is published with it.
        if BEFORE.swap(true, Ordering::Relaxed) {
            exit::now(exit::INTERRUPTED);
        }
        stop.set();
    })
    .map_err(NoHandler)
}

/// Sets the flag when standard input ends: the supervisor closes it to stop a child, and it closes
/// by itself when the supervisor is gone.
pub fn at_end_of_input(stop: &'static Stop) {
    thread::spawn(move || {
        let mut rest = [0; 64];
        loop {
            match io::stdin().read(&mut rest) {
                Ok(1..) => {}
                // A signal that was meant for a worker whose number this thread has now.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        stop.set();
    });
}
