//! snmalloc, as the crate `snmalloc-sys` builds it, without its checks: under names with the prefix
//! `sn_`.
//!
//! Source: <https://github.com/microsoft/snmalloc>.

use core::ffi::c_void;

use drystone_workloads::calls::Calls;
use snmalloc_sys as sys;

use crate::locked;
use crate::peer::{Peer, Thread};

/// snmalloc's functions.
pub const CALLS: Calls = Calls {
    malloc: sys::sn_malloc,
    calloc: sys::sn_calloc,
    realloc: sys::sn_realloc,
    aligned_alloc: sys::sn_rust_alloc,
    free: sys::sn_free,
    usable_size: Some(usable_size),
};

/// This allocator, for a benchmark.
#[must_use]
pub fn peer() -> Peer {
    Peer {
        name: "snmalloc",
        version: locked::version("snmalloc-sys"),
        calls: CALLS,
        owns: None,
        // It gives nothing back on demand.
        settle: || {},
        thread: Thread::PLAIN,
    }
}

/// Its function takes a pointer to const; [`Calls`] has the C library's signature.
unsafe extern "C" fn usable_size(block: *mut c_void) -> usize {
    // SAFETY: the caller hands over a live block of this allocator, or null.
    unsafe { sys::sn_malloc_usable_size(block) }
}
