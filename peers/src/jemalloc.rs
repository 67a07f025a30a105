//! jemalloc, as the crate `tikv-jemalloc-sys` builds it: under names with the prefix `_rjem_`.
//!
//! Source: <https://github.com/jemalloc/jemalloc>; jemalloc(3).

use core::ffi::{CStr, c_char, c_void};
use core::ptr::null_mut;

use drystone_workloads::calls::Calls;
use tikv_jemalloc_sys as sys;

use crate::peer::{Peer, Thread};

/// jemalloc's functions.
pub const CALLS: Calls = Calls {
    malloc: sys::malloc,
    calloc: sys::calloc,
    realloc: sys::realloc,
    aligned_alloc: sys::aligned_alloc,
    free: sys::free,
    usable_size: Some(usable_size),
};

/// This allocator, for a benchmark.
#[must_use]
pub fn peer() -> Peer {
    Peer {
        name: "jemalloc",
        version: version(),
        calls: CALLS,
        owns: None,
        settle,
        thread: Thread::PLAIN,
    }
}

/// The linked library's own version, such as `5.3.1-0-g81034ce1f1373e37dc865038e1bc8eeecf559ce8`,
/// without what stands behind its numbers.
#[must_use]
pub fn version() -> String {
    let mut text: *const c_char = null_mut();
    let mut length = size_of::<*const c_char>();
    // SAFETY: "version" is a string constant (jemalloc(3)): its address is written to `text`, whose
    // size is given. Then it is a C string.
    let version = unsafe {
        let found = sys::mallctl(
            c"version".as_ptr(),
            (&raw mut text).cast::<c_void>(),
            &raw mut length,
            null_mut(),
            0,
        );
        assert_eq!(found, 0, "jemalloc does not tell its version");
        CStr::from_ptr(text)
    };
    version.to_string_lossy().split('-').next().unwrap_or_default().to_owned()
}

/// Gives back what the calling thread's cache and all arenas hold unused.
pub fn settle() {
    for name in [c"thread.tcache.flush", c"arena.4096.purge"] {
        // SAFETY: both names take and return nothing; 4096 stands for all arenas.
        let done = unsafe { sys::mallctl(name.as_ptr(), null_mut(), null_mut(), null_mut(), 0) };
        assert_eq!(done, 0, "jemalloc does not know {name:?}");
    }
}

/// `malloc_usable_size` takes a pointer to const; [`Calls`] has the C library's signature.
unsafe extern "C" fn usable_size(block: *mut c_void) -> usize {
    // SAFETY: the caller hands over a live block of this allocator, or null.
    unsafe { sys::malloc_usable_size(block) }
}
