//! What goes to stdout.

use std::io::{ErrorKind, Write};

use anyhow::Result;
pub use drystone_workloads::cli::printing::{Color, Format};

/// Writes a result to stdout. A reader that has gone away (`| head`) is no failure of ours.
///
/// # Errors
/// If stdout cannot be written to.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
