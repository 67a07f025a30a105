//! The figures of this process, as text: at exit, as `DRYSTONE_STATS` says, and when a program asks
//! for them.
//!
//! The table is for people, the line for tools: a JSON object, `"drystone_stats":1` its first pair
//! and the version of what follows. Every number except the version and `pid` has the meaning of
//! the field of [`Stats`] or the function that it is named for; `calls`, there when calls are
//! counted, is the sum over the functions, `sound` whether [`check`](Engine::check)
//! found the heap whole. A forked child's calls are its own, without those of its parent.

use core::ffi::CStr;
use core::fmt::{self, Write};

use super::Engine;
use super::check::{ClassStats, LayerStats};
use super::classes::{CLASSES, size_of};
use crate::errno;
use crate::process::figures::{self, Sink};
use crate::process::text::Plain;
use crate::process::{calls, stderr, text};
use crate::stats::{Broken, Stats};

/// Bytes that hold every text of an account at its longest.
pub const LONGEST: usize = 16384;

// What `drystone.h` says of `drystone_stats` holds too: a class takes at most 100 bytes, and the
// rest 4,096.
const _: () = assert!(CLASSES * 100 + 4096 <= LONGEST);

/// The figures of an engine at one moment.
#[derive(Debug)]
pub struct Account {
    /// The whole's.
    pub stats: Stats,
    /// Its parts'.
    pub layers: LayerStats,
    /// Whether the heap is sound.
    pub sound: Result<(), Broken>,
}

impl Account {
    /// Writes the figures as a table: calls, sums, layers, and the classes of `engine` that have
    /// slabs.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn table(&self, engine: &Engine, out: &mut impl Write) -> fmt::Result {
        // SAFETY: getpid takes nothing and cannot fail.
        let pid = unsafe { libc::getpid() };
        write!(out, "drystone: process {pid}")?;
        match figures::program() {
            b"" => writeln!(out)?,
            program => writeln!(out, ", {}", Plain(program))?,
        }
        let mut row = |name: &str, figure: u64| writeln!(out, "  {name:<30}  {figure:>14}");
        if calls::are_counted() {
            for (name, calls) in calls::by_name().filter(|(_, calls)| *calls > 0) {
                row(name, calls)?;
            }
            row("calls", calls::sum())?;
        }
        for (name, figure) in sums(&self.stats) {
            row(name, figure)?;
        }
        for (name, figure) in layers(&self.layers) {
            row(name, figure)?;
        }
        let [bytes, slabs, live, blocks] = ["block_bytes", "slabs", "live_blocks", "blocks"];
        writeln!(out, "  {bytes:>14}{slabs:>16}{live:>16}{blocks:>16}")?;
        let mut classes = [ClassStats::default(); CLASSES];
        for (bytes, ClassStats { slabs, live, capacity }) in used(engine, &mut classes) {
            writeln!(out, "  {bytes:>14}{slabs:>16}{live:>16}{capacity:>16}")?;
        }
        match self.sound {
            Ok(()) => writeln!(out, "  the heap is sound"),
            Err(broken) => writeln!(out, "  {broken}"),
        }
    }

    /// Writes the figures as one line of JSON.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn line(&self, out: &mut impl Write) -> fmt::Result {
        self.begin(out)?;
        writeln!(out, "}}")
    }

    /// Writes the line, without its break, and with the figures of each layer and each class: one
    /// JSON object.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn object(&self, engine: &Engine, out: &mut impl Write) -> fmt::Result {
        self.begin(out)?;
        write!(out, ",\"layers\":{{")?;
        for (place, (name, figure)) in layers(&self.layers).into_iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(out, "{comma}\"{name}\":{figure}")?;
        }
        write!(out, "}},\"classes\":[")?;
        let mut classes = [ClassStats::default(); CLASSES];
        for (place, (bytes, figures)) in used(engine, &mut classes).enumerate() {
            let ClassStats { slabs, live, capacity } = figures;
            let comma = if place > 0 { "," } else { "" };
            write!(out, "{comma}{{\"block_bytes\":{bytes},\"slabs\":{slabs}")?;
            write!(out, ",\"live_blocks\":{live},\"blocks\":{capacity}}}")?;
        }
        write!(out, "]}}")
    }

    /// The object without its end.
    fn begin(&self, out: &mut impl Write) -> fmt::Result {
        // SAFETY: getpid takes nothing and cannot fail.
        let pid = unsafe { libc::getpid() };
        let program = Plain(figures::program());
        write!(out, "{{\"drystone_stats\":1,\"pid\":{pid},\"program\":\"{program}\"")?;
        if calls::are_counted() {
            write!(out, ",\"calls\":{}", calls::sum())?;
            for (name, calls) in calls::by_name() {
                write!(out, ",\"{name}\":{calls}")?;
            }
        }
        for (name, figure) in sums(&self.stats) {
            write!(out, ",\"{name}\":{figure}")?;
        }
        write!(out, ",\"sound\":{}", self.sound.is_ok())
    }

    /// Writes the table to stderr. Keeps `errno`.
    pub fn print(&self, engine: &Engine) {
        errno::kept(|| self.print_to(engine, stderr::NUMBER));
    }

    fn print_to(&self, engine: &Engine, file: i32) {
        let written = text::mapped(LONGEST, |text| {
            self.table(engine, text).is_ok().then(|| text.write_to(file))
        });
        if !matches!(written, Some(Some(_))) {
            stderr::say(format_args!("no memory for the table of figures"));
        }
    }

    /// Gives the account at exit, where `DRYSTONE_STATS` wants it. A program that has closed every
    /// file it could find gets no table and no complaint; that is its right.
    pub fn give(&self, engine: &Engine, sink: Sink) {
        match sink {
            Sink::Stderr => {
                if let Some(stderr) = stderr::kept() {
                    self.print_to(engine, stderr);
                }
            }
            Sink::File(path) => {
                if let Err(error) = self.append(path)
                    && stderr::kept().is_some()
                {
                    let path = Plain(path.to_bytes());
                    stderr::say(format_args!(
                        "DRYSTONE_STATS names a file that can't be written, error {error}: {path}"
                    ));
                }
            }
        }
    }

    /// Appends the line to the file; an error is `errno`'s.
    fn append(&self, path: &CStr) -> Result<(), i32> {
        let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC;
        // The kernel's calls, here and below: the C library's are cancellation points, and `exit`
        // is none.
        // SAFETY: a C string, and the mode that O_CREAT asks for.
        let file =
            unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0o666) };
        if file < 0 {
            return Err(errno::get());
        }
        let file = file as i32;
        // Half a line would break the file for its readers, so it is one text.
        let written = text::mapped(LONGEST, |line| {
            (self.line(line).is_ok() && line.write_to(file)).then_some(())
        });
        let result = written.flatten().ok_or_else(errno::get);
        // SAFETY: `open` gave this number just now, and nobody else knows it.
        unsafe { libc::syscall(libc::SYS_close, file) };
        result
    }
}

/// The figures of each class that has slabs, with its blocks' bytes. `classes` is the room for it.
fn used<'a>(
    engine: &Engine,
    classes: &'a mut [ClassStats; CLASSES],
) -> impl Iterator<Item = (usize, &'a ClassStats)> {
    engine.class_stats(classes);
    let sizes = classes.iter().enumerate().map(|(class, figures)| (size_of(class), figures));
    sizes.filter(|(_, figures)| figures.slabs > 0)
}

fn layers(layers: &LayerStats) -> [(&'static str, u64); 13] {
    [
        ("reserved_bytes", layers.reserved_bytes as u64),
        ("span_bytes", layers.span_bytes as u64),
        ("idle_bytes", layers.idle_bytes as u64),
        ("purged_bytes", layers.purged_bytes),
        ("header_bytes", layers.header_bytes as u64),
        ("huge_bytes", layers.huge_bytes as u64),
        ("kept_bytes", layers.kept_bytes as u64),
        ("heaps", layers.heaps as u64),
        ("slabs_made", layers.slabs_made),
        ("slabs_given_back", layers.slabs_given_back),
        ("slabs_reclaimed", layers.slabs_reclaimed),
        ("locked", layers.locked),
        ("held_nanoseconds", layers.held),
    ]
}

fn sums(stats: &Stats) -> [(&'static str, u64); 10] {
    [
        ("live_blocks", stats.live_blocks as u64),
        ("live_bytes", stats.live_bytes as u64),
        ("free_blocks", stats.free_blocks as u64),
        ("free_bytes", stats.free_bytes as u64),
        ("largest_free", stats.largest_free as u64),
        ("mapped_bytes", stats.mapped_bytes as u64),
        ("regions", stats.regions as u64),
        ("huge_blocks", stats.huge_blocks as u64),
        ("misuses_at_call", stats.misuses_at_call),
        ("misuses_late", stats.misuses_late),
    ]
}
