//! What a measurement is on disk: the format with its reader and its writer, the machine and the
//! date it names, and where records live. Knows nothing of how samples are taken or judged.

mod format;
mod store;

pub use crate::date::utc_now;
pub use crate::machine::Machine;
#[cfg(test)]
pub use format::fixtures;
pub use format::{Origin, Process, Record, Samples, Session, Settings, check_printable};
pub use store::{Name, Store};
