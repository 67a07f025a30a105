//! mimalloc, as the crate `libmimalloc-sys` builds it: assertions off, statistics off, optimised
//! like the release profile, under its own names (`mi_malloc`), so that it stands beside the
//! system's.
//!
//! Source: <https://github.com/microsoft/mimalloc>, its header `mimalloc.h`.

use core::ffi::c_void;

use drystone_workloads::calls::Calls;
use libmimalloc_sys as sys;

use crate::peer::{Peer, Thread};

/// mimalloc's functions.
pub const CALLS: Calls = Calls {
    malloc: sys::mi_malloc,
    calloc: sys::mi_calloc,
    realloc: sys::mi_realloc,
    aligned_alloc: sys::mi_aligned_alloc,
    free: sys::mi_free,
    usable_size: Some(usable_size),
};

/// This allocator, for a benchmark.
#[must_use]
pub fn peer() -> Peer {
    Peer {
        name: "mimalloc",
        version: version(),
        calls: CALLS,
        owns: Some(owns),
        settle,
        thread: Thread::PLAIN,
    }
}

/// The linked library's own version, such as `3.3.2`.
#[must_use]
pub fn version() -> String {
    // SAFETY: it reads a constant; there are no preconditions.
    spell(unsafe { sys::mi_version() })
}

/// Whether mimalloc owns the memory at `address`, whatever address that is.
#[must_use]
pub fn owns(address: usize) -> bool {
    // SAFETY: the function looks the address up in mimalloc's page map and does not read there.
    unsafe { sys::mi_is_in_heap_region(core::ptr::without_provenance(address)) }
}

/// Gives back what the calling thread's heap holds unused, at once instead of after mimalloc's
/// delay.
pub fn settle() {
    // SAFETY: there are no preconditions; live blocks are not touched.
    unsafe { sys::mi_collect(true) }
}

/// `mi_usable_size` takes a pointer to const; [`Calls`] has the C library's signature.
unsafe extern "C" fn usable_size(block: *mut c_void) -> usize {
    // SAFETY: the caller hands over a live block of this allocator, or null, as it must for the
    // function of this name in any allocator.
    unsafe { sys::mi_usable_size(block) }
}

/// `MI_MALLOC_VERSION` is the major version, then two digits of minor and two of patch.
fn spell(version: i32) -> String {
    format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_blocks_are_its_own_and_nobody_elses() {
        // SAFETY: each block is freed once, by the allocator that it came from.
        unsafe {
            for size in [1, 64, 4096, 1 << 20, 32 << 20] {
                let ours = (CALLS.malloc)(size);
                let system = libc::malloc(size);
                assert!(owns(ours.addr()), "mimalloc does not know its own block of {size} bytes");
                assert!(!owns(system.addr()), "mimalloc claims the system's block of {size} bytes");
                assert!(CALLS.usable_size.expect("mimalloc has it")(ours) >= size);
                (CALLS.free)(ours);
                libc::free(system);
            }
        }
    }

    #[test]
    fn every_function_allocates_its_own_blocks() {
        // SAFETY: each block is freed once, by the allocator that it came from.
        unsafe {
            let zeroed = (CALLS.calloc)(3, 100);
            assert!(owns(zeroed.addr()));
            assert!(core::slice::from_raw_parts(zeroed.cast::<u8>(), 300).iter().all(|b| *b == 0));
            let grown = (CALLS.realloc)(zeroed, 100_000);
            assert!(owns(grown.addr()));
            let aligned = (CALLS.aligned_alloc)(4096, 8192);
            assert!(owns(aligned.addr()) && aligned.addr().is_multiple_of(4096));
            (CALLS.free)(grown);
            (CALLS.free)(aligned);
        }
    }

    #[test]
    fn the_version_is_the_librarys() {
        assert_eq!(spell(30_302), "3.3.2");
        let meant = if cfg!(feature = "mimalloc-v2") { "2." } else { "3." };
        assert!(version().starts_with(meant), "the crate builds {}", version());
    }

    #[test]
    fn settling_leaves_live_blocks_alone() {
        // SAFETY: the block is live from malloc to free, and as long as it is read.
        unsafe {
            let block = (CALLS.malloc)(100).cast::<u8>();
            block.write(7);
            settle();
            assert_eq!(block.read(), 7);
            (CALLS.free)(block.cast());
        }
    }
}
