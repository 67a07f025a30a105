//! From the recorder's slots to a history: addresses become block numbers.

use std::collections::HashMap;
use std::io::Read;

use super::error::Problem;
use super::in_memory::{Gaps, Trace};
use super::op::{Kind, MAX_OPS, Op};
use super::packed::{damaged, fill, u32_at};
use super::raw::{self, Event, Record, offset};

/// Reads what follows the magic of a raw file.
pub(super) fn read(mut from: impl Read) -> Result<Trace, Problem> {
    let mut header = vec![0; raw::HEADER_BYTES];
    fill(&mut from, &mut header[8..12], "the header")?;
    let version = u32_at(&header, offset::VERSION);
    if version != raw::VERSION {
        let known = raw::VERSION;
        return Err(Problem::UnknownVersion { form: "raw", found: version, known });
    }
    fill(&mut from, &mut header[12..], "the header")?;
    let sizes = (u32_at(&header, offset::HEADER_BYTES), u32_at(&header, offset::RECORD_BYTES));
    if sizes != (raw::HEADER_BYTES as u32, raw::RECORD_BYTES as u32) {
        return Err(Problem::Corrupt { what: format!("header and record sizes {sizes:?}") });
    }
    let mut rebuild = Rebuild::default();
    if u32_at(&header, offset::STATE) == raw::state::STOPPED {
        rebuild.gaps.stopped = u32_at(&header, offset::ERRNO);
    }
    while let Some(slot) = next_slot(&mut from)? {
        rebuild.slot(&slot)?;
    }
    rebuild.finish(command(&header)?)
}

/// The command line: the arguments joined by spaces, quoted as a shell needs it.
fn command(header: &[u8]) -> Result<String, Problem> {
    let bytes = u32_at(header, offset::COMMAND_BYTES) as usize;
    if bytes > raw::COMMAND_MAX {
        return Err(Problem::Corrupt { what: format!("a command of {bytes} bytes") });
    }
    let text = String::from_utf8_lossy(&header[offset::COMMAND..offset::COMMAND + bytes]);
    let words: Vec<String> = text.split_terminator('\0').map(quoted).collect();
    Ok(words.join(" "))
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=:,./@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn next_slot(from: &mut impl Read) -> Result<Option<[u8; raw::RECORD_BYTES]>, Problem> {
    let mut slot = [0; raw::RECORD_BYTES];
    let mut filled = 0;
    while filled < slot.len() {
        match from.read(&mut slot[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(Problem::Truncated { inside: "a record" }),
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(damaged(error)),
        }
    }
    Ok(Some(slot))
}

/// A history being rebuilt.
#[derive(Default)]
struct Rebuild {
    ops: Vec<Op>,
    births: u32,
    /// The live block at each address.
    live: HashMap<u64, u32>,
    /// Reallocs begun and not ended, by the slot of their begin: the address, and its block if
    /// known.
    open: HashMap<u64, (u64, Option<u32>)>,
    /// The recorder's thread numbers, in order of appearance.
    threads: HashMap<u32, u32>,
    gaps: Gaps,
    slots: u64,
    records: u64,
    /// Unwritten slots since the last written one: holes if a written one follows, else the tail.
    unwritten: u64,
}

impl Rebuild {
    fn slot(&mut self, slot: &[u8; raw::RECORD_BYTES]) -> Result<(), Problem> {
        let place = self.slots;
        self.slots += 1;
        let record = Record::decode(slot).map_err(|event| Problem::Corrupt {
            what: format!("slot {place} has event {event}, which does not exist"),
        })?;
        match record {
            None => self.unwritten += 1,
            Some(record) => {
                let holes = u64::from(self.gaps.holes) + self.unwritten;
                self.gaps.holes = u32::try_from(holes).unwrap_or(u32::MAX);
                self.unwritten = 0;
                self.records += 1;
                self.record(place, &record)?;
            }
        }
        if self.ops.len() > MAX_OPS {
            return Err(Problem::TooLong);
        }
        Ok(())
    }

    fn record(&mut self, place: u64, record: &Record) -> Result<(), Problem> {
        let size = usize::try_from(record.size).unwrap_or(usize::MAX);
        match record.event {
            Event::Malloc => self.birth(record, |block| Kind::Malloc { block, size }),
            Event::Calloc => self.birth(record, |block| Kind::Calloc { block, size }),
            Event::AlignedAlloc => {
                let align = 1usize.checked_shl(record.align_log2.into()).ok_or_else(|| {
                    Problem::Corrupt { what: format!("slot {place} has an alignment over 64 bits") }
                })?;
                self.birth(record, |block| Kind::AlignedAlloc { block, size, align });
            }
            Event::Free => match self.live.remove(&record.address) {
                Some(block) => self.push(record.thread, Kind::Free { block }),
                None => self.gaps.foreign_frees += 1,
            },
            Event::ReallocBegin => {
                let block = self.live.remove(&record.address);
                self.open.insert(place, (record.address, block));
            }
            Event::ReallocEnd => self.realloc_end(record, size),
            Event::ReallocFreed => match self.open.remove(&record.begin) {
                Some((_, Some(block))) => self.push(record.thread, Kind::Free { block }),
                _ => self.gaps.foreign_frees += 1,
            },
            Event::ReallocFailed => {
                if let Some((address, Some(block))) = self.open.remove(&record.begin) {
                    self.settle(record.thread, address, block);
                }
            }
        }
        Ok(())
    }

    fn realloc_end(&mut self, record: &Record, size: usize) {
        match self.open.remove(&record.begin) {
            Some((_, Some(from))) => {
                self.birth(record, |to| Kind::Realloc { from, to, size });
            }
            _ => {
                self.gaps.foreign_frees += 1;
                self.birth(record, |block| Kind::Malloc { block, size });
            }
        }
    }

    fn birth(&mut self, record: &Record, kind: impl FnOnce(u32) -> Kind) {
        // A block that the rebuilt history still holds here must have gone unseen before this one
        // could be allocated again; its end must stand before this birth.
        if let Some(block) = self.live.remove(&record.address) {
            self.missed(record.thread, block);
        }
        let block = self.births;
        self.births += 1;
        self.live.insert(record.address, block);
        self.push(record.thread, kind(block));
    }

    /// A failed realloc leaves its block where it was.
    fn settle(&mut self, thread: u32, address: u64, block: u32) {
        if let Some(other) = self.live.insert(address, block) {
            self.missed(thread, other);
        }
    }

    fn missed(&mut self, thread: u32, block: u32) {
        self.gaps.missed_frees += 1;
        self.push(thread, Kind::Free { block });
    }

    fn push(&mut self, thread: u32, kind: Kind) {
        let next = self.threads.len() as u32;
        let thread = *self.threads.entry(thread).or_insert(next);
        self.ops.push(Op { thread, kind });
    }

    fn finish(self, command: String) -> Result<Trace, Problem> {
        if self.ops.is_empty() {
            return Err(Problem::Empty { records: self.records });
        }
        Trace::assemble(command, self.ops, self.gaps)
    }
}
