//! What a front (the Rust global allocator, the C functions) does about a misuse. The core of the
//! library only returns it; nothing there aborts.
//!
//! `DRYSTONE_ON_MISUSE` says which, read once, at the first misuse:
//!
//! | value | what happens |
//! |---|---|
//! | `abort` (default) | one line on stderr, then SIGABRT |
//! | `report` | one line on stderr; the call has no effect; the program goes on |
//! | `ignore` | the call has no effect; the program goes on |
//!
//! A value that is none of these counts as `abort`, and a line says so.

// Core's atomics, not `sync`'s: this is the process's state, not a heap's, no block's fate hangs on
// it, and loom has no `static`s.
use core::sync::atomic::{AtomicU8, Ordering};

use core::ffi::CStr;
use core::fmt::{self, Write};

use crate::misuse::Misuse;

/// What a front does about a misuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Policy {
    /// One line on stderr, then SIGABRT.
    Abort = 1,
    /// One line on stderr; the program goes on.
    Report = 2,
    /// Nothing; the program goes on.
    Ignore = 3,
}

/// 0 until read from the environment or set; then a [`Policy`].
static POLICY: AtomicU8 = AtomicU8::new(0);

/// The policy in force: what was [`set`], else what `DRYSTONE_ON_MISUSE` says.
pub fn get() -> Policy {
    // Relaxed: the value stands alone, and every thread would read the same from the environment.
    match POLICY.load(Ordering::Relaxed) {
        1 => Policy::Abort,
        2 => Policy::Report,
        3 => Policy::Ignore,
        _ => {
            let policy = from_environment();
            // What was set meanwhile stays.
            let ordering = Ordering::Relaxed;
            match POLICY.compare_exchange(0, policy as u8, ordering, ordering) {
                Ok(_) => policy,
                Err(_) => get(),
            }
        }
    }
}

/// Sets the policy, whatever the environment says.
pub fn set(policy: Policy) {
    POLICY.store(policy as u8, Ordering::Relaxed);
}

/// Acts on `misuse` as the policy says. Does not return under [`Policy::Abort`].
#[cold]
pub fn misuse(misuse: &Misuse) {
    let policy = get();
    if policy != Policy::Ignore {
        let mut line = Line::new();
        // A line that is too long is cut; `Line` never fails.
        let _ = writeln!(line, "drystone: {misuse}");
        line.print();
    }
    if policy == Policy::Abort {
        // SAFETY: abort takes nothing and does not return.
        unsafe { libc::abort() }
    }
}

#[cold]
fn from_environment() -> Policy {
    match variable(c"DRYSTONE_ON_MISUSE").unwrap_or(b"") {
        b"abort" | b"" => Policy::Abort,
        b"report" => Policy::Report,
        b"ignore" => Policy::Ignore,
        _ => {
            say("drystone: DRYSTONE_ON_MISUSE must be abort, report or ignore; taken for abort");
            Policy::Abort
        }
    }
}

#[cfg(not(loom))]
/// Whether the C library knows the environment already: a program's `.preinit_array` runs before that.
pub(crate) fn has_environment() -> bool {
    unsafe extern "C" {
        safe static environ: core::sync::atomic::AtomicPtr<*const libc::c_char>;
    }
    // Relaxed: the C library sets it once, before there are threads.
    !environ.load(Ordering::Relaxed).is_null()
}

/// The value of a variable of the environment. A program with more rights than its caller takes no
/// orders from the caller's environment: there it is not set.
pub(crate) fn variable(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: getauxval takes a number and cannot fail. What getenv returns is null or a C string that lives as
    // long as nobody changes the environment, and is read at once. A program that changes it in
    // another thread meanwhile breaks getenv's own rule.
    unsafe {
        if libc::getauxval(libc::AT_SECURE) != 0 {
            return None;
        }
        let value = libc::getenv(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value).to_bytes())
    }
}

/// Writes a line to stderr.
pub(crate) fn say(text: &str) {
    let mut line = Line::new();
    // A line that is too long is cut; `Line` never fails.
    let _ = writeln!(line, "{text}");
    line.print();
}

/// A line of text on the stack: a report must not allocate.
struct Line {
    text: [u8; 256],
    length: usize,
}

impl Line {
    fn new() -> Line {
        Line { text: [0; 256], length: 0 }
    }

    /// Writes the line to stderr in one call, and keeps `errno`. There is nobody to tell if it fails.
    fn print(&self) {
        // SAFETY: the first `length` bytes of `text` are initialised.
        crate::errno::kept(|| unsafe {
            libc::write(libc::STDERR_FILENO, self.text.as_ptr().cast(), self.length)
        });
    }
}

impl Write for Line {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = self.text.len() - self.length;
        let part = &part.as_bytes()[..part.len().min(room)];
        self.text[self.length..self.length + part.len()].copy_from_slice(part);
        self.length += part.len();
        Ok(())
    }
}
