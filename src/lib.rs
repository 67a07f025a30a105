//! A memory allocator that is fast and reports every double free.
//!
//! ```
//! use drystone::Drystone;
//!
//! #[global_allocator]
//! static HEAP: Drystone = Drystone;
//!
//! fn main() {
//!     let words: Vec<String> = "every block is Drystone's".split(' ').map(String::from).collect();
//!     assert_eq!(words.len(), 4);
//!     assert!(HEAP.stats().live_blocks > 0);
//! }
//! ```
//!
//! [`Drystone`] is the production allocator: each thread has blocks of its own, so that a thread
//! takes no lock and no atomic read-modify-write where it frees its own. [`ListHeap`] is the
//! classic one, as a value: one linked list of free blocks, best fit, one mutex. Both look every
//! pointer up before they trust it.
//!
//! # A report
//!
//! A pointer that is freed twice, or that never was a block, is not freed. A line on stderr says
//! so, and by default the program ends with SIGABRT (the line is broken into two here):
//!
//! ```text
//! drystone: double free: 0x7f544c610000, in a free block of 112 bytes,
//!     in process 4711, thread 4713, found at the call
//! ```
//!
//! *Found late* are misuses that show only when the block is allocated again, at a sweep, or when
//! its thread or the process ends: a free that raced with another. The methods that begin with
//! `try_` return the [`Misuse`] instead of reporting it:
//!
//! ```
//! use drystone::{Drystone, MisuseKind};
//!
//! let block = Drystone.malloc(100);
//! // SAFETY: the block is live at the first; of a pointer that is not live nothing is asked.
//! unsafe {
//!     Drystone.try_free(block).unwrap();
//!     let misuse = Drystone.try_free(block).unwrap_err();
//!     assert_eq!(misuse.kind, MisuseKind::DoubleFree);
//! }
//! ```
//!
//! A free of a block that has been allocated again since frees the new owner's block. No allocator
//! can tell it from a legal one; a quarantine makes it rare.
//!
//! # In a plug-in
//!
//! A library that is loaded while the program runs may have [`Drystone`] for its global allocator,
//! whatever the program allocates with, and many such libraries may be there at once. Each stays
//! loaded, by its own doing: threads that have used it come back to it when they end, and its
//! blocks may be in other hands. So `dlclose` frees nothing of it, and a later `dlopen` gets the
//! same copy, with its statics as they were.
//!
//! # The environment
//!
//! [`Drystone`] reads these variables once, when the first block is allocated. They mean the same
//! under `LD_PRELOAD=libdrystone.so`. A name that begins with `DRYSTONE_` and is not among them,
//! and a value that a variable does not take, are said once on stderr. A program with more rights
//! than its caller (set-user-ID) ignores them. [`ListHeap`] obeys the first.
//!
//! | variable | values | effect |
//! |---|---|---|
//! | `DRYSTONE_ON_MISUSE` | `abort`, the default | a misuse is one line on stderr, then SIGABRT |
//! | | `report` | the line; the call has no effect; the program goes on |
//! | | `ignore` | the call has no effect; the program goes on |
//! | `DRYSTONE_QUARANTINE` | a size; unset or 0: off | so many bytes of freed blocks wait |
//! | `DRYSTONE_GUARD` | `1/N`; unset or 0: off | one block in N is guarded by pages |
//! | `DRYSTONE_STATS` | `1` | at exit, calls and the heap's figures, as a table on stderr |
//! | | an absolute path | the same as one line of JSON, appended to that file |
//! | `DRYSTONE_HELP` | `1` | this list, on stderr, when the program starts |
//!
//! A size is a number of bytes, with `K`, `M` or `G` behind it for 1,024 bytes and its second and
//! third power. While a block waits in the quarantine, a double free of it is reported at the call,
//! however late it comes, and a write into it is reported when its wait ends.
//!
//! A guarded block lies at the edge of pages that nobody can touch; when it is freed, nobody can
//! touch its own pages either. So an overflow, an underflow or a use after free of it is a SIGSEGV,
//! and lines on stderr say which it was, of which block, and where that was allocated and freed:
//!
//! ```text
//! drystone: use after free: read of 0x7f1c6a3affa8, 8 bytes inside a freed block of 100 bytes,
//!     in process 4711, thread 4711
//! ```
//!
//! # Platforms
//!
//! Linux on x86-64, where all tests run, and Linux on aarch64, which is written for and not yet
//! tested. On any other target the crate does not compile, and says why. It needs no standard
//! library, and depends on `libc` alone.
//!
//! # For whoever reads the source
//!
//! `ARCHITECTURE.md` walks an allocation through every layer; `docs/engine.md` says what was
//! measured, and what was tried and rejected. Both lie in the repository.
#![cfg_attr(not(any(test, loom)), no_std)]

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!(
    "Drystone runs on Linux, on x86-64 and aarch64: for this target keep the default allocator"
);

mod errno;
#[cfg(not(loom))]
mod guard;
pub mod list;
mod misuse;
mod os;
pub mod policy;
mod probe;
mod process;
mod stats;
mod sync;

mod engine;

/// For the packages of this repository and their tests: no part of the library's promise, and free
/// to change in any version.
#[doc(hidden)]
pub mod internals {
    pub use crate::engine::Engine;
    pub use crate::os::{Mmap, Os};
    pub use crate::probe::{NoProbe, Probe};
    pub use crate::sync::{FutexLock, RawLock};

    pub mod engine {
        pub use crate::engine::*;
    }
    pub mod errno {
        pub use crate::errno::*;
    }
    pub mod os {
        pub use crate::os::*;
    }
    pub mod process {
        pub use crate::process::*;
    }
    pub mod sync {
        pub use crate::sync::*;
    }
}

#[doc(inline)]
#[cfg(not(loom))]
pub use engine::Drystone;
#[doc(inline)]
pub use list::ListHeap;
pub use misuse::{BlockState, Found, Misuse, MisuseKind};
#[doc(inline)]
pub use policy::Policy;
pub use stats::{Broken, Stats};
