//! The second view: records of criterion runs, and their comparison. The first is `compare`.
//!
//! Rooms, each importing only from those below it:
//!
//! ```text
//! commands ─┬─► print ─► judge ─┬─► stats
//!           └─► measure ────────┴─► record
//! ```

pub mod cli;
pub mod commands;
mod judge;
mod measure;
mod print;
mod progress;
mod record;
mod stats;
