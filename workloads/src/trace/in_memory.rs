//! A trace in memory, which is a possible history, and what a recording of it could not see.

use super::error::{Invalid, Problem};
use super::history::{Totals, Walk};
use super::op::{COMMAND_LIMIT, MAX_OPS, Op};

/// What a recording could not see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Frees and reallocs of blocks older than the recording: dropped (a realloc became a malloc).
    pub foreign_frees: u64,
    /// Blocks whose address was allocated again without a recorded free; the free was put before
    /// that birth.
    pub missed_frees: u64,
    /// Slots reserved and never written, by threads that were killed in the act.
    pub holes: u32,
    /// 0, or the `errno` for which the recorder gave up before the program's end.
    pub stopped: u32,
}

/// A program's allocation history, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    command: String,
    ops: Vec<Op>,
    totals: Totals,
    gaps: Gaps,
}

impl Trace {
    /// Makes a trace of operations that a program invented, with `command` as its comment.
    ///
    /// # Errors
    /// [`Problem::Empty`], [`Problem::TooLong`], or [`Problem::Invalid`] naming the first operation
    /// that breaks a rule of [`validate`](Trace::validate).
    pub fn new(command: &str, ops: Vec<Op>) -> Result<Trace, Problem> {
        Trace::assemble(command.to_owned(), ops, Gaps::default())
    }

    /// Makes a trace of what a file or a recording held.
    ///
    /// # Errors
    /// As [`new`](Trace::new).
    pub(super) fn assemble(command: String, ops: Vec<Op>, gaps: Gaps) -> Result<Trace, Problem> {
        if ops.is_empty() {
            return Err(Problem::Empty { records: 0 });
        }
        if ops.len() > MAX_OPS {
            return Err(Problem::TooLong);
        }
        let totals = walk(&ops)?;
        let mut trace = Trace { command: String::new(), ops, totals, gaps };
        trace.set_command(command);
        Ok(trace)
    }

    /// Checks the invariants again: every operation refers to a live block, numbers count up, sizes
    /// and alignments can exist. Holds for every trace; here so that tests can say so.
    ///
    /// # Errors
    /// The first operation that breaks a rule, and which rule.
    pub fn validate(&self) -> Result<(), Invalid> {
        walk(&self.ops).map(|_| ())
    }

    /// All operations, in the order in which they happened.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// How many threads act.
    pub fn threads(&self) -> u32 {
        self.totals.threads
    }

    /// How many blocks are made; their numbers are 0 to this, exclusive.
    pub fn blocks(&self) -> u32 {
        self.totals.blocks
    }

    /// The largest sum of bytes asked for by blocks alive at once.
    pub fn peak_live_bytes(&self) -> u64 {
        self.totals.peak_live_bytes
    }

    /// Blocks that the program never freed.
    pub fn left_blocks(&self) -> u32 {
        self.totals.left_blocks
    }

    /// Bytes in blocks that the program never freed.
    pub fn left_bytes(&self) -> u64 {
        self.totals.left_bytes
    }

    /// What the recording could not see.
    pub fn gaps(&self) -> Gaps {
        self.gaps
    }

    /// The command that was recorded, as one line.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Replaces the command, cut to [`COMMAND_LIMIT`] bytes.
    pub fn set_command(&mut self, mut command: String) {
        command.truncate(command.floor_char_boundary(COMMAND_LIMIT));
        self.command = command;
    }
}

fn walk(ops: &[Op]) -> Result<Totals, Invalid> {
    let mut walk = Walk::default();
    for op in ops {
        walk.step(op)?;
    }
    Ok(walk.totals())
}
