//! The compact log of an episode: what each worker asked of the subject, in order, and when.
//!
//! A child writes into a file that its supervisor holds, mapped and shared, so that the log outlives a
//! child that is killed in the middle of a call. Each worker has a part of its own and is the only one to
//! write there:
//!
//! ```text
//! file    header | part of worker 0 | part of worker 1 | ...            all parts are equally long
//! part    state, a cache line pair  | entries, one after the other
//! entry   call, 1 byte | ns since the worker's last entry | arguments | address, once the call returned
//! ```
//!
//! All numbers but the first byte are LEB128. An entry is written before its call and its address after,
//! so the call in which a process died is the last entry, without an address.
//!
//! Invariants: bytes below `written` are complete entries, or complete but for the last one's address;
//! a part that is nearly full stops the episode, and one that is full says so and takes nothing more.
//!
//! Written by [`Checked`](crate::checked::Checked) and the child; read by whoever replays or
//! tells a block's history. [`Entries`] is the reader.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::clock::Ticks;

/// Bytes of all parts together, unless the workers are so many that each would have less than a part needs: then
/// there are `2 * SLACK` for each, 3 GiB for 512. They are touched as they fill, and used again by the next episode.
const BYTES: usize = 96 << 20;

/// When a part has less room than this, the episode comes to its end: what workers still do until they
/// rest, which is to free everything and to allocate it once more, must fit.
const SLACK: usize = 3 << 20;

const HEADER: usize = 4096;
const STATE: usize = 128;
const MAGIC: u64 = u64::from_le_bytes(*b"DSTNLOG1");

/// The longest entry: a kind and six numbers of ten bytes.
const LONGEST: usize = 64;

/// Bytes of one part, for so many workers.
fn part_bytes(workers: usize) -> usize {
    ((BYTES / workers) & !(STATE - 1)).max(2 * SLACK)
}

/// A block's name in a log: who asked for it, and the how-manieth of that worker's blocks it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// The worker.
    pub owner: usize,
    /// Its how-manieth block.
    pub sequence: u64,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.owner, self.sequence)
    }
}

/// What was asked of the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the fields are the arguments of C's functions, in bytes")]
pub enum Call {
    Malloc {
        size: usize,
    },
    Calloc {
        count: usize,
        size: usize,
    },
    AlignedAlloc {
        alignment: usize,
        size: usize,
    },
    /// `realloc(null, size)`
    ReallocNull {
        size: usize,
    },
    /// `free(null)`
    FreeNull,
    /// The block keeps its name.
    Realloc {
        block: Name,
        size: usize,
    },
    Free {
        block: Name,
    },
    /// The block is read through and stays.
    Verify {
        block: Name,
    },
    /// `realloc` to a size that no allocator has: to be refused, as the next three are. The block stays.
    RefusedResize {
        block: Name,
        size: usize,
    },
    RefusedMalloc {
        size: usize,
    },
    RefusedCalloc {
        count: usize,
        size: usize,
    },
    RefusedAligned {
        alignment: usize,
        size: usize,
    },
    /// The worker's thread begins; the one before it has exited.
    Begin,
    /// Everything is freed, and the heap was looked over.
    Rest,
    /// The run is over: the heap gave back what it could.
    End,
    /// The block was given to work that goes past the checker, of which the log knows nothing.
    GiveUp {
        block: Name,
    },
}

impl Call {
    /// The block that is used, but for those that the call makes.
    pub fn block(self) -> Option<Name> {
        match self {
            Call::Realloc { block, .. }
            | Call::Free { block }
            | Call::Verify { block }
            | Call::RefusedResize { block, .. }
            | Call::GiveUp { block } => Some(block),
            _ => None,
        }
    }

    /// The same call on another block.
    #[must_use]
    pub fn with_block(self, block: Name) -> Self {
        match self {
            Call::Realloc { size, .. } => Call::Realloc { block, size },
            Call::Free { .. } => Call::Free { block },
            Call::Verify { .. } => Call::Verify { block },
            Call::RefusedResize { size, .. } => Call::RefusedResize { block, size },
            Call::GiveUp { .. } => Call::GiveUp { block },
            other => other,
        }
    }

    /// Whether the call makes a block with a name of its own.
    pub fn issues(self) -> bool {
        matches!(
            self,
            Call::Malloc { .. }
                | Call::Calloc { .. }
                | Call::AlignedAlloc { .. }
                | Call::ReallocNull { .. }
        )
    }

    /// Whether the call returns an address that is logged.
    fn returns(self) -> bool {
        self.issues() || matches!(self, Call::Realloc { .. })
    }

    /// Bytes asked for, where the call asks for some.
    pub fn size(self) -> Option<usize> {
        match self {
            Call::Malloc { size }
            | Call::AlignedAlloc { size, .. }
            | Call::ReallocNull { size }
            | Call::Realloc { size, .. } => Some(size),
            Call::Calloc { count, size } => Some(count.saturating_mul(size)),
            _ => None,
        }
    }
}

/// As in C.
impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Call::Malloc { size } => write!(f, "malloc({size})"),
            Call::Calloc { count, size } => write!(f, "calloc({count}, {size})"),
            Call::AlignedAlloc { alignment, size } => {
                write!(f, "aligned_alloc({alignment}, {size})")
            }
            Call::ReallocNull { size } => write!(f, "realloc(NULL, {size})"),
            Call::FreeNull => write!(f, "free(NULL)"),
            Call::Realloc { block, size } => write!(f, "realloc(block {block}, {size})"),
            Call::Free { block } => write!(f, "free(block {block})"),
            Call::Verify { block } => write!(f, "every byte of block {block} is read"),
            Call::RefusedResize { block, size } => write!(f, "realloc(block {block}, {size})"),
            Call::RefusedMalloc { size } => write!(f, "malloc({size})"),
            Call::RefusedCalloc { count, size } => write!(f, "calloc({count}, {size})"),
            Call::RefusedAligned { alignment, size } => {
                write!(f, "aligned_alloc({alignment}, {size})")
            }
            Call::Begin => write!(f, "a new thread"),
            Call::Rest => write!(f, "all is freed, the heap is looked over"),
            Call::End => write!(f, "the end: the heap gives back what it can"),
            Call::GiveUp { block } => write!(f, "block {block} is freed past the checker"),
        }
    }
}

/// A worker's part of the log, in the process that writes it.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    state: &'static State,
    entries: *mut u8,
    room: usize,
    worker: usize,
    nearly_full: fn(),
    clock: Ticks,
}

/// What the writer of a part needs to know. Atomic because a file that is shared may be read at any time;
/// there is one writer, so loads and stores are enough.
#[derive(Debug)]
#[repr(C)]
struct State {
    /// Bytes of entries.
    written: AtomicU64,
    /// When the last entry began, ns since the log was opened.
    last: AtomicU64,
    /// The last address that was logged.
    address: AtomicU64,
    /// 1 once an entry was lost for want of room.
    full: AtomicU64,
    /// How many blocks the worker has made.
    sequence: AtomicU64,
}

const _: () = assert!(size_of::<State>() <= STATE);

/// The log that this process writes, if it writes one.
static LOG: OnceLock<Vec<Part>> = OnceLock::new();

// SAFETY: `entries` is the start of a mapping that is never unmapped; a part's memory is written by the
// one worker that the part belongs to, which the users of `Part` see to.
unsafe impl Send for Part {}
// SAFETY: as above.
unsafe impl Sync for Part {}

/// Begins the log of this process, in the file that the supervisor holds; `nearly_full` is called when it is
/// full.
///
/// # Errors
/// The file can't be opened or mapped.
pub fn begin(path: &Path, workers: usize, nearly_full: fn()) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let length = HEADER + workers * part_bytes(workers);
    // SAFETY: a new shared mapping at a place of the kernel's choice; it is never unmapped. The file is
    // as long (`Store::clear`), and nobody shortens it while the child lives.
    let start = unsafe {
        libc::mmap(
            null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let clock = Ticks::begin();
    let parts = (0..workers).map(|worker| {
        // SAFETY: the offset lies within the mapping, which is that long.
        let part = unsafe { start.cast::<u8>().add(HEADER + worker * part_bytes(workers)) };
        // SAFETY: the part begins with room for a state, aligned as the offset is; a file of zeroes is a
        // valid one, and it is only ever accessed through the atomics.
        let state = unsafe { &*part.cast::<State>() };
        // SAFETY: a part is longer than its state.
        let entries = unsafe { part.add(STATE) };
        Part { state, entries, room: part_bytes(workers) - STATE, worker, nearly_full, clock }
    });
    let begun = LOG.set(parts.collect());
    assert!(begun.is_ok(), "a process writes one log");
    Ok(())
}

/// The part of a worker, if this process writes a log. Only the worker's thread may write there, or the
/// child's main thread while the workers rest.
pub fn part(worker: usize) -> Option<Part> {
    LOG.get().map(|parts| parts[worker])
}

impl Part {
    /// Writes down what is about to be asked.
    #[inline]
    pub fn call(self, call: Call) {
        // Relaxed, here and below: one writer, and readers come when it is gone.
        // A subject that writes wildly may hit the state: such a part is full.
        let written = (self.state.written.load(Ordering::Relaxed) as usize).min(self.room);
        let left = self.room - written;
        if left < SLACK {
            (self.nearly_full)();
            if left < 2 * LONGEST {
                self.state.full.store(1, Ordering::Relaxed);
                return;
            }
        }
        let now = self.clock.nanoseconds();
        let since = now.saturating_sub(self.state.last.load(Ordering::Relaxed));
        self.state.last.store(now, Ordering::Relaxed);
        let sequence = self.state.sequence.load(Ordering::Relaxed);
        // SAFETY: `LONGEST` bytes are left in the part, as was seen above; it is this worker's alone.
        let bytes = unsafe { &mut *self.entries.add(written).cast::<[u8; LONGEST]>() };
        let length = encode(bytes, call, since, Name { owner: self.worker, sequence });
        if call.issues() {
            self.state.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        }
        self.state.written.store((written + length) as u64, Ordering::Relaxed);
    }

    /// Writes down what the call returned.
    #[inline]
    pub fn returned(self, address: usize) {
        if self.state.full.load(Ordering::Relaxed) != 0 {
            return;
        }
        let written = self.state.written.load(Ordering::Relaxed) as usize;
        if written > self.room - LONGEST {
            // Hit wildly, since `call` leaves more.
            self.state.full.store(1, Ordering::Relaxed);
            return;
        }
        let last = self.state.address.load(Ordering::Relaxed);
        self.state.address.store(address as u64, Ordering::Relaxed);
        let step = zigzag((address as u64).wrapping_sub(last));
        // SAFETY: as many bytes are left, as was seen above; the part is this worker's alone.
        let bytes = unsafe { &mut *self.entries.add(written).cast::<[u8; LONGEST]>() };
        let mut at = 0;
        put(bytes, &mut at, step);
        self.state.written.store((written + at) as u64, Ordering::Relaxed);
    }
}

fn zigzag(step: u64) -> u64 {
    (step << 1) ^ ((step.cast_signed() >> 63).cast_unsigned())
}

fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

#[inline]
fn put(bytes: &mut [u8; LONGEST], at: &mut usize, mut number: u64) {
    // No entry is longer than `LONGEST`, so the remainder is the number; it saves the bounds' checks.
    while number >= 0x80 {
        bytes[*at % LONGEST] = number as u8 | 0x80;
        *at += 1;
        number >>= 7;
    }
    bytes[*at % LONGEST] = number as u8;
    *at += 1;
}

/// A block of the worker's own is named by how long ago it was made, another's by its name.
fn put_name(bytes: &mut [u8; LONGEST], at: &mut usize, name: Name, next: Name) {
    if name.owner == next.owner && name.sequence <= next.sequence {
        put(bytes, at, (next.sequence - name.sequence) << 1);
    } else {
        put(bytes, at, (name.owner as u64) << 1 | 1);
        put(bytes, at, name.sequence);
    }
}

/// Writes an entry without its address; returns its length. `next` is the name of the worker's next block.
#[inline]
fn encode(bytes: &mut [u8; LONGEST], call: Call, since: u64, next: Name) -> usize {
    let (kind, block, numbers): (u8, Option<Name>, [Option<usize>; 2]) = match call {
        Call::Malloc { size } => (0, None, [Some(size), None]),
        Call::Calloc { count, size } => (1, None, [Some(count), Some(size)]),
        Call::AlignedAlloc { alignment, size } => (2, None, [Some(alignment), Some(size)]),
        Call::ReallocNull { size } => (3, None, [Some(size), None]),
        Call::FreeNull => (4, None, [None, None]),
        Call::Realloc { block, size } => (5, Some(block), [Some(size), None]),
        Call::Free { block } => (6, Some(block), [None, None]),
        Call::Verify { block } => (7, Some(block), [None, None]),
        Call::RefusedResize { block, size } => (8, Some(block), [Some(size), None]),
        Call::RefusedMalloc { size } => (9, None, [Some(size), None]),
        Call::RefusedCalloc { count, size } => (10, None, [Some(count), Some(size)]),
        Call::RefusedAligned { alignment, size } => (11, None, [Some(alignment), Some(size)]),
        Call::Rest => (12, None, [None, None]),
        Call::End => (13, None, [None, None]),
        Call::GiveUp { block } => (14, Some(block), [None, None]),
        Call::Begin => (15, None, [None, None]),
    };
    bytes[0] = kind;
    let mut at = 1;
    put(bytes, &mut at, since);
    if let Some(block) = block {
        put_name(bytes, &mut at, block, next);
    }
    for number in numbers.into_iter().flatten() {
        put(bytes, &mut at, number as u64);
    }
    at
}

/// One entry, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who asked.
    pub worker: usize,
    /// When, ns since the log was opened.
    pub at: u64,
    /// What.
    pub call: Call,
    /// The block that the call made, or used.
    pub block: Option<Name>,
    /// What it returned; none if it never did.
    pub address: Option<u64>,
}

/// Reads the entries of one part. It ends at the first that is not whole, which can only be the last.
#[derive(Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
    time: u64,
    address: u64,
    next: Name,
}

impl<'a> Entries<'a> {
    /// The entries in `bytes`, which worker number `worker` wrote.
    pub fn new(bytes: &'a [u8], worker: usize) -> Self {
        let next = Name { owner: worker, sequence: 0 };
        Self { bytes, at: 0, time: 0, address: 0, next }
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn name(&mut self) -> Option<Name> {
        let first = self.number()?;
        if first & 1 == 0 {
            let sequence = self.next.sequence.wrapping_sub(first >> 1);
            return Some(Name { owner: self.next.owner, sequence });
        }
        Some(Name { owner: usize::try_from(first >> 1).ok()?, sequence: self.number()? })
    }

    fn call(&mut self, kind: u8) -> Option<Call> {
        Some(match kind {
            0 => Call::Malloc { size: self.size()? },
            1 => Call::Calloc { count: self.size()?, size: self.size()? },
            2 => Call::AlignedAlloc { alignment: self.size()?, size: self.size()? },
            3 => Call::ReallocNull { size: self.size()? },
            4 => Call::FreeNull,
            5 => Call::Realloc { block: self.name()?, size: self.size()? },
            6 => Call::Free { block: self.name()? },
            7 => Call::Verify { block: self.name()? },
            8 => Call::RefusedResize { block: self.name()?, size: self.size()? },
            9 => Call::RefusedMalloc { size: self.size()? },
            10 => Call::RefusedCalloc { count: self.size()?, size: self.size()? },
            11 => Call::RefusedAligned { alignment: self.size()?, size: self.size()? },
            12 => Call::Rest,
            13 => Call::End,
            14 => Call::GiveUp { block: self.name()? },
            15 => Call::Begin,
            _ => return None,
        })
    }
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let kind = *self.bytes.get(self.at)?;
        self.at += 1;
        self.time += self.number()?;
        let call = self.call(kind)?;
        let mut block = call.block();
        if call.issues() {
            block = Some(self.next);
            self.next.sequence += 1;
        }
        let mut address = None;
        if call.returns()
            && let Some(step) = self.number()
        {
            self.address = self.address.wrapping_add(unzigzag(step));
            address = Some(self.address);
        }
        Some(Entry { worker: self.next.owner, at: self.time, call, block, address })
    }
}

/// A log as it is kept: the parts without what was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The bytes of each worker's entries.
    parts: Vec<Vec<u8>>,
    /// Whether entries were lost for want of room.
    full: bool,
}

impl Log {
    /// All entries, by time; those of one worker in its order.
    pub fn entries(&self) -> Vec<Entry> {
        let parts = self.parts.iter().enumerate();
        let mut all: Vec<Entry> =
            parts.flat_map(|(worker, bytes)| Entries::new(bytes, worker)).collect();
        all.sort_by_key(|entry| entry.at);
        all
    }

    /// Whether it holds all that was asked of the subject, so that it can be done once more.
    pub fn whole(&self, entries: &[Entry]) -> bool {
        let past = |entry: &Entry| matches!(entry.call, Call::GiveUp { .. });
        !self.full && !entries.is_empty() && !entries.iter().any(past)
    }

    /// The bytes of a file: the magic number, how many workers, whether it overflowed, then each part's
    /// length and bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        bytes.extend((self.parts.len() as u64).to_le_bytes());
        bytes.extend(u64::from(self.full).to_le_bytes());
        for part in &self.parts {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
        bytes
    }

    /// Reads such bytes back.
    ///
    /// # Errors
    /// A sentence: they are no log, or cut off.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let mut rest = bytes;
        let mut number = || -> Result<u64, String> {
            let (first, others) = rest.split_first_chunk::<8>().ok_or("the log is cut off")?;
            rest = others;
            Ok(u64::from_le_bytes(*first))
        };
        if number()? != MAGIC {
            return Err(
                "this is no episode log of version 1: replay it with the tool that wrote it"
                    .to_owned(),
            );
        }
        let (workers, full) = (number()?, number()? != 0);
        let mut parts = Vec::new();
        for _ in 0..workers {
            let (first, others) = rest.split_first_chunk::<8>().ok_or("the log is cut off")?;
            let length = usize::try_from(u64::from_le_bytes(*first)).map_err(|e| e.to_string())?;
            let part = others.get(..length).ok_or("the log is cut off")?;
            parts.push(part.to_vec());
            rest = &others[length..];
        }
        Ok(Self { parts, full })
    }
}

/// A log that is put together entry by entry.
#[derive(Debug)]
pub struct Builder {
    log: Log,
    /// When each worker's last entry was, and how many blocks it has made.
    workers: Vec<(u64, u64)>,
}

impl Builder {
    /// Nothing yet, by so many workers.
    pub fn new(workers: usize) -> Self {
        let log = Log { parts: vec![Vec::new(); workers], full: false };
        Self { log, workers: vec![(0, 0); workers] }
    }

    /// Adds an entry of `worker` at `moment`, which is not before its last, and returns the name of the
    /// block that it makes. What the call returned is not known, and put down as the address before.
    pub fn push(&mut self, worker: usize, moment: u64, call: Call) -> Option<Name> {
        let (last, sequence) = &mut self.workers[worker];
        let name = Name { owner: worker, sequence: *sequence };
        let mut entry = [0; LONGEST];
        let mut length = encode(&mut entry, call, moment - *last, name);
        if call.returns() {
            put(&mut entry, &mut length, zigzag(0));
        }
        self.log.parts[worker].extend(&entry[..length]);
        *last = moment;
        *sequence += u64::from(call.issues());
        call.issues().then_some(name)
    }

    /// The log.
    pub fn finish(self) -> Log {
        self.log
    }
}

/// The file that children write their logs into, one after the other; it has no name.
#[derive(Debug)]
pub struct Store {
    file: File,
    workers: usize,
}

impl Store {
    /// A store for logs of so many workers.
    ///
    /// # Errors
    /// The OS gives none.
    pub fn new(workers: usize) -> io::Result<Self> {
        // SAFETY: the name is a C string; memfd_create takes any flags that it knows.
        let descriptor = unsafe { libc::memfd_create(c"episode log".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open and nobody else's.
        let file = unsafe { std::os::fd::FromRawFd::from_raw_fd(descriptor) };
        Ok(Self { file, workers })
    }

    /// Empties it for the next child.
    ///
    /// # Errors
    /// The OS has no room.
    pub fn clear(&self) -> io::Result<()> {
        // What was written stays allocated, and is written over; only the states are reset.
        self.file.set_len((HEADER + self.workers * part_bytes(self.workers)) as u64)?;
        for worker in 0..self.workers {
            self.write_state(worker)?;
        }
        Ok(())
    }

    fn write_state(&self, worker: usize) -> io::Result<()> {
        let at = HEADER + worker * part_bytes(self.workers);
        std::os::unix::fs::FileExt::write_all_at(&self.file, &[0; STATE], at as u64)
    }

    /// Where a child finds it while this process lives.
    pub fn path(&self) -> std::path::PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }

    /// What the last child has written.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn read(&self) -> io::Result<Log> {
        use std::os::unix::fs::FileExt;
        let (mut parts, mut full) = (Vec::new(), false);
        for worker in 0..self.workers {
            let at = (HEADER + worker * part_bytes(self.workers)) as u64;
            let mut state = [0; STATE];
            self.file.read_exact_at(&mut state, at)?;
            let field = |index: usize| {
                let bytes = state[index * 8..][..8].try_into().expect("eight bytes");
                u64::from_le_bytes(bytes)
            };
            full |= field(3) != 0;
            // A subject that writes wildly may hit the log.
            let written = (field(0) as usize).min(part_bytes(self.workers) - STATE);
            let mut entries = vec![0; written];
            self.file.read_exact_at(&mut entries, at + STATE as u64)?;
            parts.push(entries);
        }
        Ok(Log { parts, full })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = Name> {
        (0usize..3, 0u64..1 << 42).prop_map(|(owner, sequence)| Name { owner, sequence })
    }

    fn call() -> impl Strategy<Value = Call> {
        let size = any::<usize>;
        prop_oneof![
            size().prop_map(|size| Call::Malloc { size }),
            (size(), size()).prop_map(|(count, size)| Call::Calloc { count, size }),
            (size(), size()).prop_map(|(alignment, size)| Call::AlignedAlloc { alignment, size }),
            size().prop_map(|size| Call::ReallocNull { size }),
            Just(Call::FreeNull),
            (name(), size()).prop_map(|(block, size)| Call::Realloc { block, size }),
            name().prop_map(|block| Call::Free { block }),
            name().prop_map(|block| Call::Verify { block }),
            (name(), size()).prop_map(|(block, size)| Call::RefusedResize { block, size }),
            size().prop_map(|size| Call::RefusedMalloc { size }),
            (size(), size()).prop_map(|(count, size)| Call::RefusedCalloc { count, size }),
            (size(), size()).prop_map(|(alignment, size)| Call::RefusedAligned { alignment, size }),
            Just(Call::Rest),
            Just(Call::Begin),
            Just(Call::End),
            name().prop_map(|block| Call::GiveUp { block }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            calls in prop::collection::vec((call(), any::<u32>(), any::<u64>()), 0..50),
            worker in 0usize..3,
        ) {
            let mut bytes = Vec::new();
            let mut next = Name { owner: worker, sequence: 0 };
            let (mut time, mut last, mut expected) = (0, 0u64, Vec::new());
            for (call, since, address) in calls {
                let mut entry = [0; LONGEST];
                let length = encode(&mut entry, call, since.into(), next);
                bytes.extend(&entry[..length]);
                time += u64::from(since);
                let mut block = call.block();
                if call.issues() {
                    block = Some(next);
                    next.sequence += 1;
                }
                let address = call.returns().then_some(address);
                if let Some(address) = address {
                    let mut at = 0;
                    put(&mut entry, &mut at, zigzag(address.wrapping_sub(last)));
                    bytes.extend(&entry[..at]);
                    last = address;
                }
                expected.push(Entry { worker, at: time, call, block, address });
            }
            prop_assert_eq!(Entries::new(&bytes, worker).collect::<Vec<_>>(), expected);
            let log = Log { parts: vec![bytes], full: false };
            prop_assert_eq!(Log::from_bytes(&log.to_bytes()), Ok(log));
        }
    }

    #[test]
    fn a_part_that_fills_up_stops_the_episode_and_says_so() {
        static STOP: AtomicBool = AtomicBool::new(false);
        fn stop() {
            STOP.store(true, Ordering::Relaxed);
        }
        let store = Store::new(1).unwrap();
        store.clear().unwrap();
        begin(&store.path(), 1, stop).unwrap();
        let part = part(0).unwrap();
        let mut calls = 0u64;
        while store.read_state_full() == 0 {
            part.call(Call::Malloc { size: usize::MAX });
            part.returned(if calls.is_multiple_of(2) { 0 } else { usize::MAX / 2 });
            calls += 1;
            assert!(calls < 20_000_000, "it never fills");
            if calls == 1_000 {
                assert!(!STOP.load(Ordering::Relaxed));
                assert_eq!(store.read().unwrap().entries().len(), 1_000);
            }
        }
        assert!(STOP.load(Ordering::Relaxed));
        let log = store.read().unwrap();
        let entries = log.entries();
        assert!(!log.whole(&entries));
        // The call that found no room is lost, and nothing before it.
        assert_eq!(entries.len() as u64, calls - 1);
        assert!(entries.iter().all(|entry| entry.address.is_some()));
        store.clear().unwrap();
        assert_eq!(store.read().unwrap().entries(), []);
    }

    impl Store {
        fn read_state_full(&self) -> u64 {
            let mut full = [0; 8];
            let at = (HEADER + 24) as u64;
            std::os::unix::fs::FileExt::read_exact_at(&self.file, &mut full, at).unwrap();
            u64::from_le_bytes(full)
        }
    }

    #[test]
    fn a_part_whose_state_was_hit_is_full_and_writes_nothing_outside() {
        static STOP: AtomicBool = AtomicBool::new(false);
        fn stop() {
            STOP.store(true, Ordering::Relaxed);
        }
        const ROOM: usize = 2 * SLACK;
        for written in [u64::MAX, ROOM as u64 + 1, (ROOM - LONGEST + 1) as u64, 1 << 40] {
            // Behind the part lies what must stay as it is.
            let memory = Box::leak(vec![0xa5u8; ROOM + 2 * LONGEST].into_boxed_slice());
            let state = Box::leak(Box::new(State {
                written: written.into(),
                last: u64::MAX.into(),
                address: u64::MAX.into(),
                full: 0.into(),
                sequence: u64::MAX.into(),
            }));
            let entries = memory.as_mut_ptr();
            let part = Part {
                state,
                entries,
                room: ROOM,
                worker: 0,
                nearly_full: stop,
                clock: Ticks::begin(),
            };
            part.returned(1);
            part.call(Call::Malloc { size: 1 });
            part.returned(1);
            assert_eq!(state.full.load(Ordering::Relaxed), 1, "{written}");
            assert!(STOP.load(Ordering::Relaxed));
            // SAFETY: the memory is leaked, as long as this, and nobody writes to it any more.
            let all = unsafe { std::slice::from_raw_parts(entries, ROOM + 2 * LONGEST) };
            assert!(all.iter().all(|byte| *byte == 0xa5), "{written}");
        }
    }

    #[test]
    fn what_is_no_log_is_refused() {
        assert!(Log::from_bytes(b"something else altogether").unwrap_err().contains("version 1"));
        let whole = Log { parts: vec![vec![12, 0]], full: false }.to_bytes();
        for cut in [4, 12, 25, whole.len() - 1] {
            assert!(Log::from_bytes(&whole[..cut]).unwrap_err().contains("cut off"), "{cut}");
        }
    }
}
