//! Recorded allocation histories: the two file forms, their reader and their writer.
//!
//! `libdrystone_trace.so` writes the [raw form](raw) while a program runs; `trace pack` turns it
//! into the [packed form](packed), which is kept, committed and replayed. [`Trace::read`] takes
//! either.
//!
//! Invariants of a [`Trace`], which every way to get one upholds, so that a replayer need not look:
//! it holds at least one operation; blocks are numbered in the order of their births, without gaps;
//! every free and realloc names a live block; threads are numbered in the order of their
//! appearance, without gaps; alignments are powers of two; what is live at once is never over
//! `PTRDIFF_MAX` bytes.
//!
//! A replayer goes over [`Trace::ops`] in order on one thread, or takes [`Trace::fold`]'s list for
//! each of its workers.
//!
//! Anyone may call this; nothing in here knows an allocator. Of the modules only [`raw`] is
//! fit for the recorder, which runs inside `malloc`.

mod error;
mod history;
mod op;
pub mod packed;
pub mod raw;
mod rebuild;
mod schedule;
mod script;
mod summary;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

pub use error::{Impossible, Invalid, Problem, TraceError};
use history::{Totals, Walk};
pub use op::{Kind, Op};
pub use schedule::{Awaits, Step};
pub use script::{Script, Step as ScriptStep};
pub use summary::{SizeClass, Summary};

/// The most operations that a trace can hold (about 67 million; in memory 2 GiB).
pub const MAX_OPS: usize = 1 << 26;
/// The most bytes of a trace's command line.
pub const COMMAND_LIMIT: usize = 4096;

/// What a recording could not see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Frees and reallocs of blocks older than the recording: dropped (a realloc became a malloc).
    pub foreign_frees: u64,
    /// Blocks whose address was handed out again without a recorded free; the free was put before
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

    fn assemble(command: String, ops: Vec<Op>, gaps: Gaps) -> Result<Trace, Problem> {
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

    /// Reads a trace in either form.
    ///
    /// # Errors
    /// [`TraceError::Io`] if the file cannot be opened or read, [`TraceError::Bad`] if it is no
    /// trace, of an unknown version, cut short, damaged, empty, or no possible history. Hostile
    /// bytes give an error, never a panic, and cost memory in proportion to the operations they
    /// really hold.
    pub fn read(path: impl AsRef<Path>) -> Result<Trace, TraceError> {
        let path = path.as_ref();
        let io = |doing| move |reason| TraceError::Io { doing, path: path.to_owned(), reason };
        let mut file = File::open(path).map_err(io("open"))?;
        // A folder opens, and is found out by its first read only.
        let mut start = Vec::new();
        (&mut file).take(8).read_to_end(&mut start).map_err(io("read"))?;
        Trace::parse(start.chain(BufReader::with_capacity(1 << 16, file)))
            .map_err(|problem| TraceError::Bad { path: path.to_owned(), problem })
    }

    /// Reads a trace in either form from its bytes, in small pieces: give it a buffered reader.
    ///
    /// # Errors
    /// As [`read`](Trace::read).
    pub fn parse(mut from: impl Read) -> Result<Trace, Problem> {
        let mut magic = [0; 8];
        packed::fill(&mut from, &mut magic, "the magic").map_err(|_| Problem::NotATrace)?;
        match magic {
            packed::MAGIC => packed::read(from),
            raw::MAGIC => rebuild::read(from),
            _ => Err(Problem::NotATrace),
        }
    }

    /// Rebuilds the history from the bytes of a raw file. Frees of blocks from before the recording
    /// are dropped and counted in [`gaps`](Trace::gaps); blocks that are never freed stay live to
    /// the end.
    ///
    /// # Errors
    /// [`Problem::NotATrace`] if the bytes are not of the raw form, else as [`read`](Trace::read).
    pub fn from_raw(bytes: &[u8]) -> Result<Trace, Problem> {
        match bytes.strip_prefix(&raw::MAGIC) {
            Some(rest) => rebuild::read(rest),
            None => Err(Problem::NotATrace),
        }
    }

    /// Writes the packed form, compressed, under a temporary name beside `path` that is then
    /// renamed.
    ///
    /// # Errors
    /// [`TraceError::Io`] if the file cannot be made, written or renamed.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), TraceError> {
        self.write_as(path.as_ref(), packed::Coding::Zstd)
    }

    /// Writes the packed form uncompressed. To read it takes no call of the C allocator, so a
    /// process whose C allocator is under test can.
    ///
    /// # Errors
    /// As [`write`](Trace::write).
    pub fn write_plain(&self, path: impl AsRef<Path>) -> Result<(), TraceError> {
        self.write_as(path.as_ref(), packed::Coding::Plain)
    }

    fn write_as(&self, path: &Path, coding: packed::Coding) -> Result<(), TraceError> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let io = |doing| {
            let path = temporary.clone();
            move |reason| TraceError::Io { doing, path, reason }
        };
        let done = File::create(&temporary).map_err(io("create")).and_then(|file| {
            let mut out = BufWriter::new(file);
            packed::write(self, coding, &mut out)
                .and_then(|()| out.flush())
                .map_err(io("write"))?;
            std::fs::rename(&temporary, path).map_err(|reason| {
                let path = path.to_owned();
                TraceError::Io { doing: "rename the finished trace to", path, reason }
            })
        });
        if done.is_err() {
            // The first error is the one to tell; a file left over is harmless.
            let _ = std::fs::remove_file(&temporary);
        }
        done
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
