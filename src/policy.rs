//! The effect of a misuse on callers: the Rust global allocator and the C functions. The heaps
//! only return it; nothing in them aborts.
//!
//! `DRYSTONE_ON_MISUSE` names the policy; it is read once, before there are threads:
//!
//! | value | the effect of a misuse |
//! |---|---|
//! | `abort` (default) | one line on stderr, then SIGABRT |
//! | `report` | one line on stderr; the call has no effect; the program goes on |
//! | `ignore` | the call has no effect; the program goes on |
//!
//! A value that is none of these counts as `abort`, and a line says so. The line of a misuse names
//! its kind, the pointer, the block, the process, the thread that noticed it, and when that was
//! (here it is broken into two):
//!
//! ```text
//! drystone: double free: 0x7f544c610000, in a free block of 112 bytes,
//!     in process 4711, thread 4713, found at the call
//! ```

// Core's atomics, not `sync`'s: this is the process's state, not a heap's, no block's fate hangs on
// it, and loom has no `static`s.
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use core::fmt;

use crate::misuse::Misuse;
use crate::process::{environment, stderr};

/// The effect of a misuse.
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

/// The policy in force: the one that was [`set`], else that of `DRYSTONE_ON_MISUSE`.
pub fn get() -> Policy {
    // Relaxed: the value stands alone, and every thread would read the same from the environment.
    match POLICY.load(Ordering::Relaxed) {
        1 => Policy::Abort,
        2 => Policy::Report,
        3 => Policy::Ignore,
        _ => {
            let policy = from_environment();
            // One that was set meanwhile stays.
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
        stderr::say(format_args!("{}", Report(misuse)));
        explain(misuse);
    }
    if policy == Policy::Abort {
        // SAFETY: abort takes nothing and does not return.
        unsafe { libc::abort() }
    }
}

/// A function that says more about an address, or null. Relaxed: set before there are threads.
static EXPLAIN: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Has `explain` called with the address of each misuse, after its line.
pub fn explain_with(explain: fn(usize)) {
    EXPLAIN.store(explain as *mut (), Ordering::Relaxed);
}

fn explain(misuse: &Misuse) {
    let explain = EXPLAIN.load(Ordering::Relaxed);
    if !explain.is_null() {
        // SAFETY: `explain_with` stored a function of this type.
        let explain = unsafe { core::mem::transmute::<*mut (), fn(usize)>(explain) };
        explain(misuse.address);
    }
}

#[cold]
fn from_environment() -> Policy {
    match environment::value(environment::ON_MISUSE).unwrap_or_default() {
        b"abort" | b"" => Policy::Abort,
        b"report" => Policy::Report,
        b"ignore" => Policy::Ignore,
        _ => {
            let takes = "abort, report or ignore";
            environment::is_none(environment::ON_MISUSE, takes, "taken for abort");
            Policy::Abort
        }
    }
}

/// A misuse, and the process and thread that noticed it.
struct Report<'a>(&'a Misuse);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report(misuse) = self;
        // SAFETY: getpid and gettid take nothing and cannot fail.
        let (process, thread) = unsafe { (libc::getpid(), libc::syscall(libc::SYS_gettid)) };
        misuse.write_place(f)?;
        write!(f, ", in process {process}, thread {thread}, found {}", misuse.found)
    }
}
