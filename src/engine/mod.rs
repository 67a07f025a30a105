//! The production allocator: slabs by thread, spans by best fit, a ledger that no double free escapes.
//!
//! ```text
//!  global      malloc, free, calloc, realloc; GlobalAlloc; which heap is this thread's
//!  quarantine  freed blocks that wait
//!  check       figures, and whether every invariant holds
//!  resize
//!  alloc free  the slow ways, and every free
//!  maintain    a heap's beginning and end, and what is done now and then
//!  abandon     what exited threads leave
//!  sweep       what others freed comes back, and what is empty goes back
//!  report      what a pointer is that is not a live block
//!  engine      the parts, and the one lock
//!  shared      abandoned slabs, headers, heaps: under the span lock        huge   blocks with mappings of their own
//!  heap        one thread's slabs                                  pagemap  from an address to its slab
//!  slab        equal blocks of one class, and their ledger         span   runs of units, best fit
//!  classes     sizes
//! ```
//!
//! An [`Engine`] is the allocator without the question whose heap is meant: every call takes the heap as
//! an argument. [`Drystone`](global::instance::Drystone) answers it, with one engine for the process. What each layer keeps
//! true stands in its file; `docs/engine.md` says what was measured.

mod abandon;
mod alloc;
pub mod check;
pub mod classes;
#[expect(clippy::module_inception, reason = "the type is the module's whole purpose")]
mod engine;
mod free;
#[cfg(not(loom))]
mod global;
mod heap;
mod huge;
mod maintain;
mod pagemap;
#[cfg(not(loom))]
mod quarantine;
mod report;
mod resize;
mod shared;
mod slab;
mod span;
mod stats;
mod sweep;

pub use classes::MIN_ALIGN;
pub use engine::Engine;
#[cfg(not(loom))]
pub use global::instance::Drystone;
pub use heap::Heap;

/// The names that the C library knows.
#[cfg(not(loom))]
pub mod front {
    pub use super::global::fast::{DIRECT, Fast};
    pub use super::global::instance::Drystone;
}
