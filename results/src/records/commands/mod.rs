//! `results record` and `results records`; each is a list of steps.

mod busy;
mod commits;
mod compare;
mod record;
mod sides;

pub use compare::run as compare;
pub use record::run as record;
