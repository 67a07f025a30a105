//! Where figures go at exit, as `DRYSTONE_STATS` says.
//!
//! | value | at exit |
//! |---|---|
//! | unset, empty or `0` | nothing |
//! | `1` | a table on stderr |
//! | an absolute path | one line of JSON, appended to that file |
//!
//! Anything else counts as unset, and a line says so. Read once and copied: programs move and
//! overwrite their environment (to set their title, say), and the file's name is still needed when
//! they are done.

// Core's atomics and cells, not `sync`'s: see `environment`.
use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU8, Ordering};

use super::{environment, stderr};

/// Where the figures go.
#[derive(Clone, Copy, Debug)]
pub enum Sink {
    /// To the stderr that was [kept](stderr::kept), as a table.
    Stderr,
    /// To the end of this file, as one line.
    File(&'static CStr),
}

const NOWHERE: u8 = 0;
const STDERR: u8 = 1;
const FILE: u8 = 2;

/// Where the figures go. Its release after the names below are written pairs with the acquire in
/// [`sink`] and [`program`].
static KIND: AtomicU8 = AtomicU8::new(NOWHERE);
/// The file's path.
static PATH: Name<4096> = Name::new();
/// The program's name.
static PROGRAM: Name<64> = Name::new();

/// A C string, written once before `KIND` says that it is there.
struct Name<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

// SAFETY: written by `read` only, before its release of `KIND`; read only after an acquire that saw
// it.
unsafe impl<const BYTES: usize> Sync for Name<BYTES> {}

impl<const BYTES: usize> Name<BYTES> {
    const fn new() -> Self {
        Name(UnsafeCell::new([0; BYTES]))
    }

    /// Copies `name`; false, and nothing is copied, when there is no room for it and its end.
    ///
    /// # Safety
    /// Nobody else uses it at this time.
    unsafe fn set(&self, name: &[u8]) -> bool {
        // SAFETY: nobody else uses it at this time.
        let place = unsafe { &mut *self.0.get() };
        let fits = name.len() < BYTES;
        if fits {
            for (to, from) in place.iter_mut().zip(name) {
                *to = *from;
            }
        }
        fits
    }

    /// # Safety
    /// Nobody writes it any more.
    unsafe fn get(&'static self) -> &'static CStr {
        // SAFETY: nobody writes it any more.
        let bytes = unsafe { &*self.0.get() };
        CStr::from_bytes_until_nul(bytes).unwrap_or_default()
    }
}

/// Reads the variable; true when it asks for figures.
///
/// # Safety
/// Called once in a process.
pub unsafe fn read() -> bool {
    let Some(value) = environment::value(environment::STATS) else { return false };
    let kind = match value {
        b"" | b"0" => return false,
        b"1" => STDERR,
        // SAFETY: called once, and `KIND` does not say yet that the path is there.
        [b'/', ..] if unsafe { PATH.set(value) } => FILE,
        _ => {
            let takes = "1 or an absolute path";
            environment::is_none(environment::STATS, takes, "no figures at exit");
            return false;
        }
    };
    stderr::keep(kind == STDERR);
    // SAFETY: called once, and `KIND` does not say yet that the name is there. A name that does not
    // fit stays empty.
    unsafe { PROGRAM.set(program_file()) };
    KIND.store(kind, Ordering::Release);
    true
}

/// Where the figures go; `None` when none are wanted.
pub fn sink() -> Option<Sink> {
    match KIND.load(Ordering::Acquire) {
        STDERR => Some(Sink::Stderr),
        // SAFETY: the acquire of `KIND` saw the release that follows the writing.
        FILE => Some(Sink::File(unsafe { PATH.get() })),
        _ => None,
    }
}

/// The name of the program's file, without folders; empty when it is too long, or no figures are
/// wanted.
pub fn program() -> &'static [u8] {
    if KIND.load(Ordering::Acquire) == NOWHERE {
        return b"";
    }
    // SAFETY: the acquire of `KIND` saw the release that follows the writing.
    unsafe { PROGRAM.get() }.to_bytes()
}

fn program_file() -> &'static [u8] {
    // SAFETY: AT_EXECFN, when present, is the address of the C string that execve(2) was given
    // (getauxval(3)), above the stack, where it stays.
    let path = unsafe {
        match libc::getauxval(libc::AT_EXECFN) {
            0 => return b"",
            address => CStr::from_ptr(core::ptr::with_exposed_provenance(address as usize)),
        }
    };
    path.to_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}
