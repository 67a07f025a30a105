//! Drystone: a memory allocator that reports every double free.
//!
//! [`ListHeap`] is the classic allocator: a linked list of free blocks over `mmap`, best fit, one
//! mutex. It can be a value, a `static`, or a program's `#[global_allocator]`:
//!
//! ```
//! use drystone::{ListHeap, MisuseKind};
//!
//! static HEAP: ListHeap = ListHeap::new();
//!
//! let block = HEAP.malloc(100);
//! assert!(!block.is_null());
//! // SAFETY: `block` is live and this heap's.
//! unsafe { HEAP.try_free(block) }.unwrap();
//! // SAFETY: a pointer that is not live is refused and nothing near it is trusted.
//! let misuse = unsafe { HEAP.try_free(block) }.unwrap_err();
//! assert_eq!(misuse.kind, MisuseKind::DoubleFree);
//! ```
//!
//! # Layers
//!
//! Each imports only from those below it (`tests/tidy.rs` holds the code to that).
//!
//! | module | holds |
//! |---|---|
//! | [`engine`] | the production allocator, and [`Drystone`], its front |
//! | [`list`] | the classic allocator, its C and Rust fronts |
//! | [`policy`] | what a front does about a misuse |
//! | [`misuse`], [`stats`] | what a heap says of its callers, and of itself |
//! | [`os`] | pages from the operating system: the only module that maps memory |
//! | [`sync`] | the mutex, and everything that loom must see |
//! | [`probe`] | where a test can look into a critical section |
//! | [`errno`] | `errno`, kept |
#![cfg_attr(not(any(test, loom)), no_std)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("Drystone runs on 64-bit Linux (x86-64 and aarch64); it has no other OS layer yet");

pub mod engine;
pub mod errno;
pub mod list;
pub mod misuse;
pub mod os;
pub mod policy;
pub mod probe;
pub mod stats;
pub mod sync;

#[cfg(not(loom))]
pub use engine::Drystone;
pub use engine::Engine;
pub use list::ListHeap;
pub use misuse::{BlockState, Found, Misuse, MisuseKind};
pub use os::{Mmap, Os};
pub use probe::{NoProbe, Probe};
pub use stats::{Broken, Stats};
pub use sync::{FutexLock, RawLock};
