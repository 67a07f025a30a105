//! The production allocator: slabs by thread, spans by best fit, a ledger that no double free
//! escapes.
//!
//! Its layers, and three calls through them, stand at the top of `ARCHITECTURE.md`.
//! Each file imports only from those below it; `tests/tidy` holds that order.
//!
//! An [`Engine`] is the allocator without the question whose heap is meant: every call takes the
//! heap as an argument. `Drystone` answers it, with one engine for the process. What each layer
//! keeps true stands in its file; `docs/engine.md` says what was measured.

#[cfg(not(loom))]
pub mod account;
mod alloc;
mod background;
pub mod check;
pub mod classes;
#[expect(clippy::module_inception, reason = "the type is the module's whole purpose")]
mod engine;
#[cfg(not(loom))]
mod fork;
mod free;
#[cfg(not(loom))]
mod global;
#[cfg(not(loom))]
mod guarded;
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
pub use global::fast::Drystone;
pub use heap::Heap;

/// The names of `global` that the C library knows.
#[cfg(not(loom))]
pub mod calls {
    pub use super::classes::{LARGEST, SMALL};
    pub use super::global::fast::{DIRECT, Drystone, Fast};
}
