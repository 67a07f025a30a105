//! rpmalloc, as the crate `rpmalloc-sys` builds it: without its overrides, under its own names
//! (`rpmalloc`, `rpfree`).
//!
//! Source: <https://github.com/mjansson/rpmalloc>, its header `rpmalloc.h`. Only the
//! form that replaces malloc makes a thread's heap by itself: here each thread says that it begins,
//! and that it ends.

use core::ffi::c_int;

use drystone_workloads::calls::Calls;
use rpmalloc_sys as sys;

use crate::locked;
use crate::peer::{Peer, Thread};

/// rpmalloc's functions.
pub const CALLS: Calls = Calls {
    malloc: sys::rpmalloc,
    calloc: sys::rpcalloc,
    realloc: sys::rprealloc,
    aligned_alloc: sys::rpaligned_alloc,
    free: sys::rpfree,
    usable_size: Some(sys::rpmalloc_usable_size),
};

/// This allocator, for a benchmark.
#[must_use]
pub fn peer() -> Peer {
    Peer {
        name: "rpmalloc",
        version: format!("crate {}", locked::version("rpmalloc-sys")),
        calls: CALLS,
        owns: None,
        settle,
        thread: Thread { begins: thread_begins, ends: thread_ends },
    }
}

/// Gives the calling thread's caches back.
pub fn settle() {
    // SAFETY: the thread is inside, as every one that calls this allocator.
    unsafe { sys::rpmalloc_thread_collect() }
}

/// The first thread initialises the library, every other itself.
fn thread_begins() {
    // SAFETY: there are no preconditions. The library's own flag, which is not atomic, is set by
    // the main thread before it starts another.
    let initialized = unsafe { sys::rpmalloc_initialize() };
    assert_eq!(initialized, 0, "rpmalloc can't be initialised");
}

/// Gives the calling thread's heap to threads that come later.
fn thread_ends() {
    // The crate's binding lacks the parameter that the header has.
    unsafe extern "C" {
        #[link_name = "rpmalloc_thread_finalize"]
        fn finalize(release_caches: c_int);
    }
    // SAFETY: the declaration is the header's; the thread is inside, and calls nothing afterwards.
    unsafe { finalize(1) }
}
