//! The subcommands of the first view; each is a list of steps.

mod compare;
mod options;

pub use compare::run as compare;
pub use options::CompareArguments;
