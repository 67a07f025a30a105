//! The file as memory: cells of 32 bytes, in chunks that are mapped, shared, as they are needed.
//!
//! A shared mapping needs no flush: what was stored is in the file however the process ends, by
//! `_exit`, a crash or SIGKILL. No descriptor is kept, for programs close (and reuse) descriptors
//! they did not open; each chunk opens the file by its name and makes sure that it is still the
//! same file.
//!
//! ```text
//! file    0        4096                 1 MiB                     2 MiB
//!         ┌────────┬───────────────────┬─────────────────────────┬─ ─
//!         │ header │ slots 0 … 32639   │ slots 32640 … 65407     │
//!         └────────┴───────────────────┴─────────────────────────┴─ ─
//! cells   0 … 127   128 … 32767          32768 … 65535
//! chunk   └──────────── 0 ────────────┘ └────────── 1 ──────────┘
//! ```
//!
//! Called by [`log`](crate::log) only, which makes sure that [`create`] runs alone.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use drystone_workloads::trace::raw::{self, offset};

use crate::errno;
use crate::name::{self, Text};
use crate::os::{self, Descriptor, Identity, Outcome};

const CHUNK: usize = 1 << 20;
const CELLS: u64 = (CHUNK / raw::RECORD_BYTES) as u64;
/// 64 GiB of file.
const CHUNKS: usize = 1 << 16;
/// The first cell that is a slot.
const HEADER_CELLS: u64 = (raw::HEADER_BYTES / raw::RECORD_BYTES) as u64;

// A slot lies in one chunk, and a page's last byte is a slot's last byte, which is always zero.
const _: () = assert!(CHUNK.is_multiple_of(4096) && 4096 % raw::RECORD_BYTES == 0);
const _: () =
    assert!(raw::HEADER_BYTES.is_multiple_of(raw::RECORD_BYTES) && raw::HEADER_BYTES < CHUNK);

/// Where each chunk is mapped, or null.
static MAPPED: [AtomicPtr<u8>; CHUNKS] = [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS];
/// The next cell to give out.
static NEXT: AtomicU64 = AtomicU64::new(0);

struct Opened(UnsafeCell<Option<(Text, Identity)>>);

// SAFETY: `create` alone writes it, while no other thread is in this file; `grow` reads it only
// after a thread has seen that `create` succeeded.
unsafe impl Sync for Opened {}

static OPENED: Opened = Opened(UnsafeCell::new(None));

/// Starts a new file for this process, leaving alone whatever a forking parent had mapped. Returns
/// the name and whether it had to be another than the pattern says.
///
/// # Safety
/// No other thread of this process is in this file, and all that will be see what this call did.
pub(crate) unsafe fn create(pattern: &Text) -> Outcome<(Text, bool)> {
    for chunk in &MAPPED {
        // Relaxed here and below: no other thread is in this file.
        let address = chunk.swap(ptr::null_mut(), Ordering::Relaxed);
        if address.is_null() {
            break;
        }
        // SAFETY: a mapping that `map` made, in the parent, which this process will not write any
        // more.
        unsafe { os::unmap(address, CHUNK) };
    }
    let (path, file, attempt) = new_file(pattern)?;
    // SAFETY: no other thread is in this file, so nobody else reads or writes it now.
    unsafe { *OPENED.0.get() = Some((path, file.identity()?)) };
    NEXT.store(HEADER_CELLS, Ordering::Relaxed);
    let chunk = map(&file, 0)?;
    // SAFETY: the chunk has room for the header, and nobody else knows of it.
    unsafe { write_header(chunk) };
    Ok((path, attempt > 0))
}

/// A name is never used again: an exec keeps the process's number, and a child may share the
/// pattern.
fn new_file(pattern: &Text) -> Outcome<(Text, Descriptor, u32)> {
    for attempt in 0..1000 {
        let path = name::expand(pattern, attempt)?;
        match Descriptor::open(path.c(), libc::O_RDWR | libc::O_CREAT | libc::O_EXCL) {
            Ok(file) => return Ok((path, file, attempt)),
            Err(libc::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(libc::EEXIST)
}

/// # Safety
/// `chunk` is the file's first, and no other thread knows of it.
unsafe fn write_header(chunk: *mut u8) {
    // SAFETY: the header lies in the chunk, since HEADER_BYTES is at most CHUNK; nobody else knows
    // of it.
    let header = unsafe { core::slice::from_raw_parts_mut(chunk, raw::HEADER_BYTES) };
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = header.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(offset::VERSION, &raw::VERSION.to_le_bytes());
    put(offset::HEADER_BYTES, &(raw::HEADER_BYTES as u32).to_le_bytes());
    put(offset::RECORD_BYTES, &(raw::RECORD_BYTES as u32).to_le_bytes());
    put(offset::PID, &os::process().to_le_bytes());
    put(offset::STATE, &raw::state::RECORDING.to_le_bytes());
    let mut command = [0; raw::COMMAND_MAX];
    let bytes = Descriptor::open(c"/proc/self/cmdline", libc::O_RDONLY)
        .map_or(0, |file| file.read(&mut command));
    put(offset::COMMAND, command.get(..bytes).unwrap_or_default());
    put(offset::COMMAND_BYTES, &(bytes as u32).to_le_bytes());
    // Last, so that a file with a magic has a header.
    put(offset::MAGIC, &raw::MAGIC);
}

/// Takes the next slot of the file, in the order of the calls: its number and its address.
///
/// # Safety
/// [`create`] has succeeded in this process, and the calling thread has seen it.
pub(crate) unsafe fn take() -> Outcome<(u64, *mut u8)> {
    // Relaxed: of two calls of which one happens before the other, the earlier gets the lower
    // number by the coherence of this one counter; and that is all that the order promises.
    let cell = NEXT.fetch_add(1, Ordering::Relaxed);
    let chunk = (cell / CELLS) as usize;
    let place = MAPPED.get(chunk).ok_or(libc::EFBIG)?;
    // Acquire pairs with the Release in `map`: the mapping is there for who sees its address.
    let mut address = place.load(Ordering::Acquire);
    if address.is_null() {
        // SAFETY: `create` has succeeded here, and this thread has seen it.
        address = unsafe { grow(chunk) }?;
    }
    // SAFETY: a chunk holds CELLS cells.
    let slot = unsafe { address.add((cell % CELLS) as usize * raw::RECORD_BYTES) };
    Ok((cell - HEADER_CELLS, slot))
}

/// # Safety
/// As [`take`].
#[cold]
unsafe fn grow(chunk: usize) -> Outcome<*mut u8> {
    let _errno = errno::Kept::new();
    // SAFETY: `create` has happened before, and nobody writes it after that.
    let opened = unsafe { &*OPENED.0.get() };
    let (path, identity) = opened.as_ref().ok_or(libc::EBADF)?;
    let file = Descriptor::open(path.c(), libc::O_RDWR)?;
    if file.identity()? != *identity {
        return Err(libc::EBADF);
    }
    map(&file, chunk)
}

/// Reserves and maps a chunk, or finds that another thread has.
fn map(file: &Descriptor, chunk: usize) -> Outcome<*mut u8> {
    let place = MAPPED.get(chunk).ok_or(libc::EFBIG)?;
    file.reserve(chunk * CHUNK, CHUNK)?;
    let address = file.map(chunk * CHUNK, CHUNK)?;
    // Release pairs with the Acquire in `take`; Acquire on failure for the mapping of the other
    // thread.
    match place.compare_exchange(ptr::null_mut(), address, Ordering::Release, Ordering::Acquire) {
        Ok(_) => Ok(address),
        Err(other) => {
            // SAFETY: our own mapping, which nobody has heard of.
            unsafe { os::unmap(address, CHUNK) };
            Ok(other)
        }
    }
}

/// Notes in the header how the recording stands. Does nothing before [`create`].
///
/// # Safety
/// The header's chunk, if mapped, is this process's own.
pub(crate) unsafe fn set_state(state: u32, errno: i32) {
    // Acquire pairs with the Release in `map`.
    let header = MAPPED[0].load(Ordering::Acquire);
    if !header.is_null() {
        // SAFETY: both fields lie in the header, on boundaries of 4, and after `create` they are
        // only reached atomically.
        unsafe {
            let errno = errno.unsigned_abs().to_le();
            // Relaxed twice: for a reader of the file, who has no ordering anyway but by the end.
            AtomicU32::from_ptr(header.add(offset::ERRNO).cast()).store(errno, Ordering::Relaxed);
            AtomicU32::from_ptr(header.add(offset::STATE).cast())
                .store(state.to_le(), Ordering::Relaxed);
        }
    }
}
