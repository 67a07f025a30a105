//! The side that writes: one part for each worker, in the process that makes the calls.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use crate::clock::Ticks;
use crate::journal::call::{Call, Name};
use crate::journal::encode::{LONGEST, encode, put, zigzag};
use crate::journal::layout::{HEADER, SLACK, STATE, State, part_bytes};

/// A worker's part of the journal, in the process that writes it.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub(super) state: &'static State,
    pub(super) entries: *mut u8,
    pub(super) room: usize,
    pub(super) worker: usize,
    pub(super) nearly_full: fn(),
    pub(super) clock: Ticks,
}

/// The journal that this process writes, if it writes one.
static JOURNAL: OnceLock<Vec<Part>> = OnceLock::new();

// SAFETY: `entries` is the start of a mapping that is never unmapped; a part's memory is written by
// the one worker that the part belongs to, which the users of `Part` see to.
unsafe impl Send for Part {}
// SAFETY: what is shared is read alone; each part's memory is written by its one worker.
unsafe impl Sync for Part {}

/// Begins the journal of this process, in the file that the supervisor holds; `nearly_full` is
/// called when it is full.
///
/// # Errors
/// The file can't be opened or mapped.
pub fn begin(path: &Path, workers: usize, nearly_full: fn()) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let length = HEADER + workers * part_bytes(workers);
    // SAFETY: a new shared mapping at a place of the kernel's choice; it is never unmapped. The
    // file is as long (`Store::clear`), and nobody shortens it while the child lives.
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
        // SAFETY: the part begins with room for a state, aligned as the offset is; a file of zeroes
        // is a valid one, and it is only ever accessed through the atomics.
        let state = unsafe { &*part.cast::<State>() };
        // SAFETY: a part is longer than its state.
        let entries = unsafe { part.add(STATE) };
        Part { state, entries, room: part_bytes(workers) - STATE, worker, nearly_full, clock }
    });
    let begun = JOURNAL.set(parts.collect());
    assert!(begun.is_ok(), "a process writes one journal");
    Ok(())
}

/// The part of a worker, if this process writes a journal. Only the worker's thread may write
/// there, or the child's main thread while the workers rest.
///
/// # Safety
/// While the part is used, no other thread uses it.
pub unsafe fn part(worker: usize) -> Option<Part> {
    JOURNAL.get().map(|parts| parts[worker])
}

impl Part {
    /// Writes down what is about to be asked.
    #[inline]
    pub fn call(self, call: Call) {
        // Relaxed, here and below: one writer, and readers come when it is gone.
        // A allocator that writes wildly may hit the state: such a part is full.
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
        // SAFETY: `LONGEST` bytes are left in the part, as was seen above; it is this worker's
        // alone.
        let bytes = unsafe { &mut *self.entries.add(written).cast::<[u8; LONGEST]>() };
        let length = encode(bytes, call, since, Name { owner: self.worker, sequence });
        if call.allocates() {
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
