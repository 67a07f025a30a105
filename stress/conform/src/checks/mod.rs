//! The checks, one file a topic. Each runs in a process of its own in which the allocator serves
//! `malloc`.

mod exercise;
mod interface;
mod own;
mod process;
mod sizes;
mod values;

use crate::row::Row;

/// All rows, in the order in which they are printed.
pub const ALL: &[&[Row]] = &[
    interface::ROWS,
    values::zero::ROWS,
    values::limits::ROWS,
    values::alignment::ROWS,
    values::usable::ROWS,
    values::resize::ROWS,
    values::zeroing::ROWS,
    values::errno::ROWS,
    process::lifetime::ROWS,
    process::signals::ROWS,
    process::loading::ROWS,
    process::threads::ROWS,
    process::processes::ROWS,
    process::exhaustion::ROWS,
    own::ROWS,
];
