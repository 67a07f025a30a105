//! How a report is asked for: the options that all tools share.

pub use drystone_workloads::cli::printing::{Color, Format, Printing};
