//! The raw form: what the recorder writes while the program runs. Constants and arithmetic only.
//!
//! The recorder runs inside `malloc`, so nothing in this file allocates, panics or calls the
//! standard library; the recorder may use this file and nothing else of this package.
//!
//! All integers are little-endian. A raw file is a header of [`HEADER_BYTES`] and then slots of
//! [`RECORD_BYTES`], of which the file's place *is* the order: slot *n* was reserved as the *n*-th
//! event of the whole process, by one atomic counter.
//!
//! ```text
//! header   0       8        12            16            20   24     28     32           36       64        4096
//!          ┌───────┬────────┬─────────────┬─────────────┬────┬──────┬──────┬────────────┬────────┬─────────┐
//!          │ magic │version │ header bytes│ record bytes│pid │ state│ errno│command size│ zero   │ command │
//!          └───────┴────────┴─────────────┴─────────────┴────┴──────┴──────┴────────────┴────────┴─────────┘
//!
//! slot     0      1        2        4        8           16          24                31     32
//!          ┌──────┬────────┬────────┬────────┬───────────┬───────────┬─────────────────┬──────┐
//!          │ event│ log₂   │ zero   │ thread │ address   │ size      │ slot of the     │ zero │
//!          │      │ of the │        │ (from 1│           │ in bytes  │ realloc's begin │      │
//!          │      │ align. │        │        │           │           │ (7 bytes)       │      │
//!          └──────┴────────┴────────┴────────┴───────────┴───────────┴─────────────────┴──────┘
//! ```
//!
//! - *command* is the process's `argv` as in `/proc/self/cmdline`: each argument followed by a NUL,
//!   cut at 4032 bytes.
//! - A slot whose event is 0 was never written: either the file's unused tail, or an event that its
//!   thread did not live to write. Such a malloc had not returned to the program and such a free
//!   had not happened, so a hole never hides a finished operation.
//! - The last byte of a slot is always zero: on a file system without `fallocate` the recorder
//!   reserves space by writing that byte of each page, which then disturbs nothing.
//!
//! # The order
//! An allocation's slot is reserved after the allocator returned, a free's before the allocator is
//! called. So the time from a block's birth to its end, as the slots show it, lies within the time
//! in which the program really held it, and two holders of one address never overlap in the file.
//!
//! A realloc is both. The old block's address can be given to another thread before the call
//! returns, so its end must be noted before; the new block's address can have been another thread's
//! until just before it returns, so its birth must be noted after. One slot could not be right for
//! both, hence two: [`Event::ReallocBegin`] and then one of [`Event::ReallocEnd`],
//! [`Event::ReallocFreed`], [`Event::ReallocFailed`], which names the slot of its begin.

/// The first eight bytes of a raw trace.
pub const MAGIC: [u8; 8] = *b"DRYSTRAW";
/// The version of the layout that this file describes.
pub const VERSION: u32 = 1;
/// Bytes before the first slot; one page.
pub const HEADER_BYTES: usize = 4096;
/// Bytes in a slot.
pub const RECORD_BYTES: usize = 32;

/// Where the header's fields begin, in bytes from the file's beginning.
pub mod offset {
    /// `[u8; 8]`: [`MAGIC`](super::MAGIC).
    pub const MAGIC: usize = 0;
    /// `u32`: [`VERSION`](super::VERSION).
    pub const VERSION: usize = 8;
    /// `u32`: [`HEADER_BYTES`](super::HEADER_BYTES).
    pub const HEADER_BYTES: usize = 12;
    /// `u32`: [`RECORD_BYTES`](super::RECORD_BYTES).
    pub const RECORD_BYTES: usize = 16;
    /// `u32`: the process.
    pub const PID: usize = 20;
    /// `u32`: one of [`state`](super::state).
    pub const STATE: usize = 24;
    /// `u32`: why the recording stopped early, else 0.
    pub const ERRNO: usize = 28;
    /// `u32`: bytes of the command.
    pub const COMMAND_BYTES: usize = 32;
    /// The command's first byte.
    pub const COMMAND: usize = 64;
}

/// The most bytes of a command line that the header holds.
pub const COMMAND_MAX: usize = HEADER_BYTES - offset::COMMAND;

/// How the recording stands; the header's `state`.
pub mod state {
    /// Under way, or the process was killed.
    pub const RECORDING: u32 = 1;
    /// The process came to its exit handlers. Threads that still run may add records.
    pub const EXITED: u32 = 2;
    /// Given up: the file could not grow; the header's `errno` says why. What is there is whole.
    pub const STOPPED: u32 = 3;
}

/// What a slot reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Event {
    /// `malloc`, or `realloc(NULL, …)`, gave *address*.
    Malloc = 1,
    /// `calloc` gave *address*; *size* is the product.
    Calloc = 2,
    /// One of the aligned functions gave *address*.
    AlignedAlloc = 3,
    /// `free(address)` is about to be called.
    Free = 4,
    /// `realloc(address, size)` is about to be called.
    ReallocBegin = 5,
    /// The realloc begun in slot *begin* gave *address*.
    ReallocEnd = 6,
    /// The realloc begun in slot *begin* had size 0 and returned null: it freed.
    ReallocFreed = 7,
    /// The realloc begun in slot *begin* failed: the block lives on.
    ReallocFailed = 8,
}

impl Event {
    /// The event with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<Event> {
        Some(match number {
            1 => Event::Malloc,
            2 => Event::Calloc,
            3 => Event::AlignedAlloc,
            4 => Event::Free,
            5 => Event::ReallocBegin,
            6 => Event::ReallocEnd,
            7 => Event::ReallocFreed,
            8 => Event::ReallocFailed,
            _ => return None,
        })
    }
}

/// One slot, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub event: Event,
    /// log₂ of the alignment asked for; 0 where none was.
    pub align_log2: u8,
    /// The thread's number in the process, from 1; gaps are possible.
    pub thread: u32,
    /// The block's address.
    pub address: u64,
    /// Bytes asked for; 0 for a free.
    pub size: u64,
    /// For the second slot of a realloc, the number of its first; below 2⁵⁶.
    pub begin: u64,
}

impl Record {
    /// The slot's four little-endian words. The first is never 0, and is to be stored last: it
    /// makes the slot count.
    pub const fn encode(&self) -> [u64; 4] {
        let head = self.event as u64 | (self.align_log2 as u64) << 8 | (self.thread as u64) << 32;
        [
            head.to_le(),
            self.address.to_le(),
            self.size.to_le(),
            (self.begin & (u64::MAX >> 8)).to_le(),
        ]
    }

    /// Reads a slot. `Ok(None)` is a slot never written; `Err` gives an event number that does not
    /// exist.
    pub fn decode(slot: &[u8; RECORD_BYTES]) -> Result<Option<Record>, u8> {
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&slot[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let head = word(0);
        if head as u8 == 0 {
            return Ok(None);
        }
        let event = Event::from_number(head as u8).ok_or(head as u8)?;
        Ok(Some(Record {
            event,
            align_log2: (head >> 8) as u8,
            thread: (head >> 32) as u32,
            address: word(8),
            size: word(16),
            begin: word(24),
        }))
    }
}
