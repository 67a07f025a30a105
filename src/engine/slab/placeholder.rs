//! The slab that stands where a heap has no current one: it has no block to give, and nobody owns
//! it.

#[cfg(loom)]
use core::ptr;

use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::{Slab, nothing};

/// A static that is never written, or only by its own rules.
#[cfg(not(loom))]
pub(crate) struct Static<T>(pub T);

// SAFETY: what stands in one is only looked at, never written: it has no block to give, and nobody
// owns it.
#[cfg(not(loom))]
unsafe impl<T> Sync for Static<T> {}

#[cfg(not(loom))]
static NOTHING: Static<Slab> = Static(nothing());

/// The slab that stands where a heap has no current one.
#[cfg(not(loom))]
pub const fn no_slab() -> OwnedSlab {
    // SAFETY: a static, and the placeholder, which every thread may look at.
    unsafe { OwnedSlab::new(&raw const NOTHING.0) }
}

#[cfg(loom)]
loom::thread_local! {
    static NOTHING: &'static Slab = Box::leak(Box::new(nothing()));
}

/// As above. Loom has no statics of its types; one per thread does as well.
#[cfg(loom)]
pub fn no_slab() -> OwnedSlab {
    // SAFETY: lives for ever; the placeholder.
    NOTHING.with(|&nothing| unsafe { OwnedSlab::new(ptr::from_ref(nothing)) })
}
