//! The header of a huge block: a block with a mapping of its own.
//!
//! ```text
//!  start            start + size         start + used                        start + mapped
//!  +----------------+--------------------+-----------------------------------+
//!  | the block      | excess: may be     | room: untouched address space      |
//!  |                | resident, and idle | for a block that grows by realloc  |
//!  +----------------+--------------------+-----------------------------------+
//! ```
//!
//! # Invariants
//! - `size <= used <= mapped`; all three, and `start`, are multiples of a page.
//! - All of it is the span lock's: a thread that looked an address up has a [`HugeRef`], which
//!   only the table behind that lock ([`Huge`](super::Huge)) opens.
//! - Headers are never unmapped. One that is pooled has no block: `start = size = 0`, so an old
//!   reference finds no block at its address.

use core::ptr::{self, NonNull};

use crate::engine::huge::mapping::{Mapping, NO_SEAMS, Seams};

/// See the [module](self).
#[repr(C, align(64))]
#[derive(Debug)]
pub struct HugeBlock {
    /// Where the block starts, or 0.
    pub start: usize,
    /// Usable bytes of the block.
    pub size: usize,
    /// So many bytes of the mapping, from its start, may be resident.
    pub used: usize,
    /// Bytes of the mapping.
    pub mapped: usize,
    /// Where the pieces begin that it was put together from.
    pub seams: Seams,
    /// Nobody can free the block: it waits in quarantine, or another thread is moving it.
    pub held: bool,
    /// Neighbours on the list of live blocks, or, `next`, in the pool.
    pub previous: Option<HugeRef>,
    /// As above.
    pub next: Option<HugeRef>,
}

impl HugeBlock {
    /// A header without a block.
    pub const fn new() -> HugeBlock {
        HugeBlock {
            start: 0,
            size: 0,
            used: 0,
            mapped: 0,
            seams: NO_SEAMS,
            held: false,
            previous: None,
            next: None,
        }
    }

    /// The block's mapping.
    pub fn mapping(&self) -> Mapping {
        Mapping {
            start: ptr::with_exposed_provenance_mut(self.start),
            bytes: self.mapped,
            used: self.used,
        }
    }

    /// Bytes behind the block that may be resident.
    pub fn excess(&self) -> usize {
        self.used - self.size
    }
}

/// A header's address: any thread may have it, and only [`Huge`](super::Huge) opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct HugeRef(NonNull<HugeBlock>);

impl HugeRef {
    /// Makes a header at `place`. `None` if that is null.
    ///
    /// # Safety
    /// `place` has room for a header, at a multiple of its alignment, which is nobody else's for as
    /// long as anything uses the result.
    pub unsafe fn create(place: *mut HugeBlock) -> Option<HugeRef> {
        let place = NonNull::new(place)?;
        // SAFETY: `place` has room for a header, at a multiple of its alignment, that is nobody
        // else's.
        unsafe { place.write(HugeBlock::new()) };
        place.as_ptr().expose_provenance();
        Some(HugeRef(place))
    }

    /// The header whose address is `address`, an [`address`](Self::address) of one.
    pub fn at(address: usize) -> Option<HugeRef> {
        NonNull::new(ptr::with_exposed_provenance_mut(address)).map(HugeRef)
    }

    /// The header's address: a multiple of 64.
    pub fn address(self) -> usize {
        self.0.addr().get()
    }

    /// The header itself.
    ///
    /// # Safety
    /// The caller has the span lock, the header lives, and no other reference to it is in use.
    pub unsafe fn open<'a>(self) -> &'a mut HugeBlock {
        // SAFETY: the span lock is held, the header lives, and no other reference to it is in use.
        unsafe { &mut *self.0.as_ptr() }
    }
}
