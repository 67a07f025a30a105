//! The subcommands of the first view; each is a list of steps.

mod compare;
mod options;
mod show;

pub use compare::run as compare;
pub use options::{CompareArguments, ShowArguments};
pub use show::run as show;
