//! Whether this process records, and the writing of one record.
//!
//! ```text
//!             first call            opened
//!   UNOPENED ───────────► OPENING ─────────► RECORDING
//!      ▲                     │                   │ the file cannot grow
//!      │ the C library is    │ cannot be opened  ▼
//!      └──not set up yet─────┴────────────────► OFF
//!
//!   a forked child: UNOPENED, from whatever state; but OFF is remembered beside
//! ```
//!
//! The state stands in a page that the kernel wipes in a forked child, so a child knows itself by
//! one load, however it was forked, and starts a file of its own at its first record. No lock is
//! held over a fork, and none over the allocator's calls. The thread is
//! [`Inside`](crate::thread::Inside) in all of this: what would allocate in here is neither
//! recorded nor does it come back to here.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use drystone_workloads::trace::raw::{self, Event, Record};

use crate::complain::Line;
use crate::errno;
use crate::file;
use crate::name::{self, Text};
use crate::os::{self, Outcome};
use crate::thread;

const UNOPENED: u32 = 0;
const OPENING: u32 = 1;
const RECORDING: u32 = 2;
const OFF: u32 = 3;

/// The page with the state, or null before the first call.
static STATE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
/// Once off, a child is off too: one line on stderr is enough.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

struct Pattern(UnsafeCell<Option<Text>>);

// SAFETY: reached only by the one thread that is in OPENING.
unsafe impl Sync for Pattern {}

/// Kept for the children, who may have another environment and another folder.
static PATTERN: Pattern = Pattern(UnsafeCell::new(None));

/// Records an event on `address`; returns its slot's number, `None` if this process does not
/// record.
pub(crate) fn record(
    event: Event,
    address: usize,
    size: usize,
    align: usize,
    begin: u64,
) -> Option<u64> {
    if !recording() {
        return None;
    }
    // SAFETY: `recording` has seen RECORDING, which is set after `create`.
    match unsafe { file::take() } {
        Ok((number, slot)) => {
            let record = Record {
                event,
                align_log2: align.trailing_zeros() as u8,
                thread: thread::number(),
                address: address as u64,
                size: size as u64,
                begin,
            };
            // SAFETY: the slot is this call's alone.
            unsafe { write(slot, &record) };
            Some(number)
        }
        Err(errno) => {
            give_up(errno, b"cannot make the recording grow: ");
            None
        }
    }
}

/// # Safety
/// `slot` is mapped, on a boundary of 32, and given to this call alone.
unsafe fn write(slot: *mut u8, record: &Record) {
    let [head, rest @ ..] = record.encode();
    let words = slot.cast::<u64>();
    for (place, word) in (1..).zip(rest) {
        // SAFETY: a slot is four words; the file's readers reach it through no reference of this
        // process.
        unsafe { AtomicU64::from_ptr(words.add(place)) }.store(word, Ordering::Relaxed);
    }
    // Release: who finds the head in the file, at whatever moment, finds the rest.
    // SAFETY: a slot is four words, and the first of them is the head.
    unsafe { AtomicU64::from_ptr(words) }.store(head, Ordering::Release);
}

fn recording() -> bool {
    // Acquire pairs with the Release in `state_page`.
    let state = STATE.load(Ordering::Acquire);
    // SAFETY: not null, it is a page of zeros or a state, never unmapped.
    // Acquire pairs with the Release in `open`: who sees RECORDING sees the file.
    !state.is_null() && unsafe { &*state }.load(Ordering::Acquire) == RECORDING || begin()
}

/// The slow way in: opens the file if it is this thread's turn. True if this process records now.
#[cold]
pub(crate) fn begin() -> bool {
    let _errno = errno::Kept::new();
    // Relaxed: a hint. Set in this process, the state says the same; set in the parent, fork orders
    // it.
    if GIVEN_UP.load(Ordering::Relaxed) {
        return false;
    }
    let state = match state_page() {
        Ok(state) => state,
        Err(errno) => {
            give_up(errno, b"cannot start: ");
            return false;
        }
    };
    loop {
        // Acquire on either outcome pairs with the Releases of `open` in another thread.
        match state.compare_exchange(UNOPENED, OPENING, Ordering::Acquire, Ordering::Acquire) {
            Ok(_) => open(state),
            Err(OPENING) => os::pause(),
            Err(now) => return now == RECORDING,
        }
        // Relaxed: decides only whether to go round again.
        if state.load(Ordering::Relaxed) == UNOPENED {
            return false;
        }
    }
}

/// The page that is wiped in a child; made by the first to come.
fn state_page() -> Outcome<&'static AtomicU32> {
    // Acquire, and on the exchange AcqRel: pair with one another, so that the page is there for
    // all.
    let mut page = STATE.load(Ordering::Acquire);
    if page.is_null() {
        let (fresh, wiped) = os::page_wiped_on_fork()?;
        let exchange = STATE.compare_exchange(
            ptr::null_mut(),
            fresh.cast(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        page = exchange.map_or_else(|other| other, |_| fresh.cast());
        if page.cast() != fresh {
            // SAFETY: our own page, which nobody has heard of.
            unsafe { os::unmap(fresh, 4096) };
        } else if !wiped {
            // SAFETY: the handler is a function of this library, which is never unloaded.
            unsafe { libc::pthread_atfork(None, None, Some(wipe)) };
        }
    }
    // SAFETY: an aligned page that is never unmapped; only atomics reach it.
    Ok(unsafe { &*page })
}

extern "C" fn wipe() {
    // Relaxed twice: the child has one thread.
    let state = STATE.load(Ordering::Relaxed);
    if !state.is_null() {
        // SAFETY: not null, it is a page of zeros or a state, never unmapped.
        unsafe { &*state }.store(UNOPENED, Ordering::Relaxed);
    }
}

/// From OPENING to the next state.
fn open(state: &AtomicU32) {
    // SAFETY: only the thread in OPENING comes here.
    let pattern = unsafe { &mut *PATTERN.0.get() };
    if pattern.is_none() {
        match name::pattern() {
            // Release, here and below, pairs with the Acquires of `begin` and `recording`.
            None => return state.store(UNOPENED, Ordering::Release),
            Some(Err(errno)) => return give_up(errno, b"cannot start: "),
            Some(Ok(text)) => *pattern = Some(text),
        }
    }
    let Some(pattern) = pattern else { return };
    // SAFETY: OPENING means that no other thread is in `file`, and RECORDING is stored after it.
    match unsafe { file::create(pattern) } {
        Ok((path, renamed)) => {
            if renamed && !name::names_process(pattern) {
                Line::new().add(b"that file exists; recording to ").add(path.bytes()).print();
            }
            state.store(RECORDING, Ordering::Release);
        }
        Err(errno) => give_up(errno, b"cannot create the recording: "),
    }
}

/// Off for good, with one line.
#[cold]
fn give_up(errno: i32, what: &[u8]) {
    let _errno = errno::Kept::new();
    // Relaxed: decides who prints the line.
    if GIVEN_UP.swap(true, Ordering::Relaxed) {
        return;
    }
    // Acquire pairs with the Release in `state_page`.
    let state = STATE.load(Ordering::Acquire);
    if !state.is_null() {
        // SAFETY: not null, it is a page of zeros or a state, never unmapped. Release pairs with
        // the Acquires of `begin` and `recording`.
        let before = unsafe { &*state }.swap(OFF, Ordering::Release);
        if before == RECORDING {
            // SAFETY: RECORDING means that the mapped header is this process's own.
            unsafe { file::set_state(raw::state::STOPPED, errno) };
        }
    }
    let mut path = Line::new().add(what);
    // SAFETY: only the thread in OPENING writes it: this one, or none any more.
    if let Some(pattern) = unsafe { &*PATTERN.0.get() } {
        path = path.add(pattern.bytes()).add(b": ");
    }
    path.add_errno(errno).add(b"; the program runs on unrecorded").print();
}

/// Notes that the process came to its exit handlers.
pub(crate) fn exiting() {
    // Acquire, both: as in `recording`.
    let state = STATE.load(Ordering::Acquire);
    // SAFETY: not null, it is a page of zeros or a state, never unmapped.
    if !state.is_null() && unsafe { &*state }.load(Ordering::Acquire) == RECORDING {
        // SAFETY: RECORDING means that the mapped header is this process's own.
        unsafe { file::set_state(raw::state::EXITED, 0) };
    }
}
