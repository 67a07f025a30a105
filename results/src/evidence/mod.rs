//! Evidence: all that a comparison measured, as one file that grows by a line for each process.
//!
//! The first line is the [`Header`]: what is compared, how, by which program, where. Every other
//! line is a [`Line`]. A line is written by one `write` and ends with a newline, so a kill loses
//! one at most, and the reader passes over a last line without its newline. Nothing in the file is
//! a verdict: verdicts are computed from it (`decide`), and can be computed again.
//!
//! A field's meaning never changes within a [`VERSION`]; docs/compare.md lists the fields. Lines
//! are independent of each other, so two files whose headers have equal [`Header::comparison`] join
//! by putting the lines of one behind those of the other.

mod file;
mod header;
mod join;
mod line;

pub use crate::machine::Machine;
pub use file::{Evidence, Writer};
pub use header::{Also, FORMAT, Header, Lane, Made, RowPlan, Settings, Side, VERSION};
pub use line::{
    Correctness, End, Ended, Instructions, Line, Memory, MemoryRow, Process, Row, Tail, Tails,
};

#[cfg(test)]
pub mod fixtures;
