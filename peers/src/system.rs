//! The C library's allocator.
//!
//! The process's Rust code allocates from it too (benchmarks replace no global allocator), so its
//! heap is never empty; no other allocator's is touched by anyone else.

use core::ffi::CStr;
use core::mem::MaybeUninit;
use std::sync::Once;

use drystone_workloads::calls::Calls;

use crate::peer::{Peer, Thread};

/// The functions that the process was linked with under the C library's names.
pub const CALLS: Calls = Calls {
    malloc: libc::malloc,
    calloc: libc::calloc,
    realloc: libc::realloc,
    aligned_alloc: libc::aligned_alloc,
    free: libc::free,
    usable_size: Some(libc::malloc_usable_size),
};

/// This allocator, for a benchmark.
#[must_use]
pub fn peer() -> Peer {
    Peer {
        name: "system",
        version: format!("glibc {}", version()),
        calls: CALLS,
        owns: None,
        settle,
        thread: Thread::PLAIN,
        // It aborts at many, and says in mallopt(3) that it need not.
    }
}

/// The largest block whose freeing moves glibc's thresholds is a mapping of 32 MiB, on 64 bits
/// (mallopt(3), `M_MMAP_THRESHOLD`); this stays below it with room for the header.
const LARGEST_THAT_COUNTS: usize = (32 << 20) - (64 << 10);

/// The C library's version, such as `2.36`.
#[must_use]
pub fn version() -> String {
    // SAFETY: the function returns a string constant of the C library.
    let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
    version.to_string_lossy().into_owned()
}

/// The file that holds `malloc`, as the dynamic linker sees it; `None` if it cannot tell.
///
/// With an allocator preloaded it is that allocator's file, and figures for the system would be
/// its.
#[must_use]
pub fn library() -> Option<String> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the symbol's name is a C string; `info` may be written to, and holds a `Dl_info`
    // either way, because all bytes zero is one (null pointers).
    let info = unsafe {
        let malloc = libc::dlsym(libc::RTLD_DEFAULT, c"malloc".as_ptr());
        libc::dladdr(malloc, info.as_mut_ptr());
        info.assume_init()
    };
    if info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: dladdr wrote the name of a loaded file, which the linker owns; nothing unloads it.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(name.to_string_lossy().into_owned())
}

/// Whether `malloc` is the C library's own, and not that of something preloaded.
#[must_use]
pub fn is_the_c_librarys() -> bool {
    library().is_some_and(|file| is_the_c_library(&file))
}

/// glibc's file is called `libc.so.6`, and was `libc-2.31.so` and the like before 2.34.
fn is_the_c_library(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.starts_with("libc.so") || name.starts_with("libc-")
}

/// Gives idle memory back, and on first use brings the thresholds to where a long-lived program has
/// them.
///
/// Above a threshold glibc maps a block of its own; whenever such a block is freed the threshold
/// rises to its size, and the amount of idle memory that is kept to twice that, for good. Left
/// alone, a benchmark's figure would depend on which others ran before it in the process, and so on
/// the filter on the command line. Freeing one block of the largest size that counts leads to the
/// end of that road.
pub fn settle() {
    static RAISE_THRESHOLDS: Once = Once::new();
    RAISE_THRESHOLDS.call_once(|| {
        // SAFETY: the block is freed once, and not used.
        unsafe { libc::free(std::hint::black_box(libc::malloc(LARGEST_THAT_COUNTS))) }
    });
    // SAFETY: there are no preconditions; live blocks are not touched.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(test)]
mod tests {
    use core::ffi::c_void;

    use super::*;

    #[test]
    fn malloc_is_the_c_librarys() {
        let library = library().expect("the linker knows where malloc is");
        assert!(is_the_c_librarys(), "malloc comes from {library}");
    }

    #[test]
    fn the_c_library_is_known_by_its_file() {
        assert!(is_the_c_library("/lib/x86_64-linux-gnu/libc.so.6"));
        assert!(is_the_c_library("/lib64/libc-2.31.so"));
        assert!(!is_the_c_library("/opt/libc.so/libmimalloc.so.3"));
        assert!(!is_the_c_library("libcustom.so"));
    }

    #[test]
    fn every_function_is_the_c_librarys() {
        for (function, name) in [
            (CALLS.malloc as *const c_void, c"malloc"),
            (CALLS.calloc as *const c_void, c"calloc"),
            (CALLS.realloc as *const c_void, c"realloc"),
            (CALLS.aligned_alloc as *const c_void, c"aligned_alloc"),
            (CALLS.free as *const c_void, c"free"),
        ] {
            // SAFETY: the symbol's name is a C string.
            let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
            assert_eq!(function, found.cast_const(), "{name:?}");
        }
    }

    #[test]
    fn the_version_has_two_numbers() {
        let version = version();
        let numbers: Vec<_> = version.split('.').map(str::parse::<u32>).collect();
        assert!(numbers.len() >= 2 && numbers.iter().all(Result::is_ok), "{version}");
    }
}
