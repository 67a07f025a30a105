//! The allocator that all C functions serve from.

use engine::Drystone;

/// Const, so that it is whole before the loader has run any code of this library.
pub(crate) static HEAP: Drystone = Drystone;
