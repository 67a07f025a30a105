//! The figures of this process, as text: what [`setting`] asks for at exit, and what a program asks for.
//!
//! The table is for people, the line for tools: a JSON object, `"drystone_stats":1` its first pair and
//! the version of what follows. Every number but the version and `pid` has the meaning of the field of
//! [`engine::Stats`] or the function that it is named for; `calls`, there when calls are counted, is the sum over the functions,
//! `sound` whether [`check`](engine::Drystone::check) found the heap whole. A forked child's calls are
//! its own, without those of its parent.

use core::fmt::{self, Write};

use crate::counts;
use crate::gate;
use crate::heap::HEAP;
use crate::setting;
use crate::text::Text;
use engine::Stats;
use engine::engine::check::{ClassStats, LayerStats};
use engine::engine::classes::{CLASSES, size_of};

/// Room for every number at its longest.
pub type Account = Text<4096>;

/// And for a row of each class.
pub type Table = Text<16384>;

// What `drystone.h` says of `drystone_stats` holds too: a class takes at most 100 bytes, and the rest 4,096.
const _: () = assert!(CLASSES * 100 + 4096 <= 16384);

/// The figures as a table: calls, sums, layers, and the classes that have slabs.
pub fn table() -> Result<Table, fmt::Error> {
    let mut text = Table::new();
    // SAFETY: getpid takes nothing and cannot fail.
    let pid = unsafe { libc::getpid() };
    write!(text, "drystone: process {pid}")?;
    match setting::program().to_bytes() {
        b"" => writeln!(text)?,
        program => writeln!(text, ", {}", Printable(program))?,
    }
    let mut row = |name: &str, figure: u64| writeln!(text, "  {name:<30}  {figure:>14}");
    if gate::counts() {
        for (name, calls) in counts::by_name().filter(|(_, calls)| *calls > 0) {
            row(name, calls)?;
        }
        row("calls", counts::sum())?;
    }
    for (name, figure) in figures(&HEAP.stats()) {
        row(name, figure)?;
    }
    for (name, figure) in layers(&HEAP.engine().layer_stats()) {
        row(name, figure)?;
    }
    writeln!(text, "  {:>14}{:>16}{:>16}{:>16}", "block_bytes", "slabs", "live_blocks", "blocks")?;
    let mut classes = [ClassStats::default(); CLASSES];
    for (bytes, ClassStats { slabs, live, capacity }) in used(&mut classes) {
        writeln!(text, "  {bytes:>14}{slabs:>16}{live:>16}{capacity:>16}")?;
    }
    match HEAP.check() {
        Ok(()) => writeln!(text, "  the heap is sound")?,
        Err(broken) => writeln!(text, "  {broken}")?,
    }
    Ok(text)
}

/// The figures of each class that has slabs, with its blocks' bytes. `classes` is the room for it.
fn used(classes: &mut [ClassStats; CLASSES]) -> impl Iterator<Item = (usize, &ClassStats)> {
    HEAP.engine().class_stats(classes);
    let sizes = classes.iter().enumerate().map(|(class, figures)| (size_of(class), figures));
    sizes.filter(|(_, figures)| figures.slabs > 0)
}

/// The figures as one line of JSON.
pub fn line() -> Result<Account, fmt::Error> {
    let mut text = Account::new();
    begin(&mut text)?;
    writeln!(text, "}}")?;
    Ok(text)
}

/// As the line, without its break, and with the figures of each layer and each class: one JSON object.
pub fn object(out: &mut impl Write) -> fmt::Result {
    begin(out)?;
    write!(out, ",\"layers\":{{")?;
    for (place, (name, figure)) in layers(&HEAP.engine().layer_stats()).into_iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(out, "{comma}\"{name}\":{figure}")?;
    }
    write!(out, "}},\"classes\":[")?;
    let mut classes = [ClassStats::default(); CLASSES];
    for (place, (bytes, ClassStats { slabs, live, capacity })) in used(&mut classes).enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(out, "{comma}{{\"block_bytes\":{bytes},\"slabs\":{slabs}")?;
        write!(out, ",\"live_blocks\":{live},\"blocks\":{capacity}}}")?;
    }
    write!(out, "]}}")
}

/// The object without its end.
fn begin(out: &mut impl Write) -> fmt::Result {
    // SAFETY: getpid takes nothing and cannot fail.
    let pid = unsafe { libc::getpid() };
    let program = Printable(setting::program().to_bytes());
    write!(out, "{{\"drystone_stats\":1,\"pid\":{pid},\"program\":\"{program}\"")?;
    if gate::counts() {
        write!(out, ",\"calls\":{}", counts::sum())?;
        for (name, calls) in counts::by_name() {
            write!(out, ",\"{name}\":{calls}")?;
        }
    }
    for (name, figure) in figures(&HEAP.stats()) {
        write!(out, ",\"{name}\":{figure}")?;
    }
    write!(out, ",\"sound\":{}", HEAP.check().is_ok())
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
        ("slabs_taken_over", layers.slabs_taken_over),
        ("locked", layers.locked),
        ("held_nanoseconds", layers.held),
    ]
}

fn figures(stats: &Stats) -> [(&'static str, u64); 10] {
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

/// A file's name with everything in it that JSON or a terminal would take for more than a character
/// replaced by a question mark.
struct Printable(&'static [u8]);

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            let plain = byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
            f.write_char(if plain { byte as char } else { '?' })?;
        }
        Ok(())
    }
}
