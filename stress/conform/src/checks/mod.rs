//! The checks, one file a topic. Each runs in a process of its own in which the subject serves `malloc`.

mod alignment;
mod errno;
mod exercise;
mod exhaustion;
mod interface;
mod lifetime;
mod limits;
mod loading;
mod own;
mod processes;
mod resize;
mod signals;
mod threads;
mod usable;
mod zero;
mod zeroing;

use crate::rows::Row;

/// All rows, in the order in which they are printed.
pub const ALL: &[&[Row]] = &[
    interface::ROWS,
    zero::ROWS,
    limits::ROWS,
    alignment::ROWS,
    usable::ROWS,
    resize::ROWS,
    zeroing::ROWS,
    errno::ROWS,
    lifetime::ROWS,
    signals::ROWS,
    loading::ROWS,
    threads::ROWS,
    processes::ROWS,
    exhaustion::ROWS,
    own::ROWS,
];

/// Sizes that meet every way an allocator may serve a request: classes, pages, runs, mappings.
const SIZES: [usize; 16] = [
    1,
    8,
    16,
    24,
    100,
    512,
    1024,
    4000,
    4096,
    16 << 10,
    40_000,
    128 << 10,
    256 << 10,
    1 << 20,
    (2 << 20) + 100,
    8 << 20,
];
