//! What the rows do.
//!
//! A row's work comes in three steps: its data are made (random choices, tables; the harness's
//! memory), then it starts on a heap (what has to be live), then passes are made and timed. The
//! floor of a row's peak is read after the first step.
//!
//! The first byte of every block is written, as every program does. Every random choice is part of
//! the data, of fixed seeds, the same for every allocator. An operation is one call of the
//! allocator.
//!
//! Rows of one thread are timed by the processor time of the whole process, the kernel's part and
//! that of threads which an allocator keeps included, so that whoever else uses the machine is not
//! in the figure. Where threads wait for each other only the wall's clock will do.

pub mod like;
pub(crate) mod one_thread;
pub mod pairs;
pub mod passes;
pub mod scaling;
pub(crate) mod threads;

use drystone_workloads::trace::Script;

use crate::bench::suite::Kind;
use crate::bench::work::passes::Work;

/// Makes a row's data. `script` is the program of [`Kind::Trace`].
///
/// # Panics
/// If the script is missing, or the row is [`Kind::Scaling`], which is measured otherwise.
pub fn prepare(kind: Kind, script: Option<Script>) -> Work {
    match kind {
        Kind::Pair(size) => one_thread::pair(size),
        Kind::Ring(slots) => one_thread::ring(slots),
        Kind::Bulk(order) => one_thread::bulk(order),
        Kind::Calloc(size) => one_thread::calloc(size),
        Kind::Realloc(last) => one_thread::realloc(last),
        Kind::Large => one_thread::large(),
        Kind::HandOff(batch) => threads::hand_off(batch),
        Kind::Churn => threads::churn(),
        Kind::Threads => threads::private(),
        Kind::Trace => one_thread::trace(script.expect("a trace row has a script")),
        Kind::Like(like) => like::prepare(like),
        Kind::Scaling => unreachable!("scaling has phases, not passes"),
    }
}
