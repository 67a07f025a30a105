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
mod in_memory;
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
pub use in_memory::{Gaps, Trace};
pub use op::{COMMAND_LIMIT, Kind, MAX_OPS, Op};
pub use schedule::{Awaits, Step};
pub use script::{Script, Step as ScriptStep};
pub use summary::{SizeClass, Summary};

impl Trace {
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
}
