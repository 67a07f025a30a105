//! Empty slabs that the heap that had them did not need.
//!
//! They are abandoned slabs, whole: the next thread that needs one of the class takes it, and
//! nothing is made anew. A thread that goes through phases, each in other classes, comes back to
//! them soon. What nobody needs goes back after some time, the one left longest first, and its span
//! is for all classes.
//!
//! ```text
//!  abandoned[class] ─► by class, youngest first, among the others of the class
//!  ring             ─► all of them, oldest first, through the links of a heap's ring
//! ```

use crate::engine::slab::Place;
use crate::engine::slab::owned::{OwnedSlab, Ring};

/// Bytes of their spans at most.
pub const MOST: usize = 4 << 20;

/// See the [module](self).
pub struct Idle {
    ring: Ring,
    /// Bytes of their spans.
    bytes: usize,
    /// The fewest that there were since the last look: so many of the oldest nobody needed.
    fewest: usize,
    /// When that was, in milliseconds.
    looked: u64,
}

impl Idle {
    /// None.
    pub const fn new() -> Idle {
        Idle { ring: Ring::new(), bytes: 0, fewest: 0, looked: 0 }
    }

    /// How many there are, and the bytes of their spans.
    pub fn count(&self) -> (usize, usize) {
        (self.ring.count, self.bytes)
    }

    /// The one left longest.
    pub fn oldest(&self) -> Option<OwnedSlab> {
        self.ring.first()
    }

    /// Adds an abandoned slab without a live block.
    pub fn add(&mut self, slab: OwnedSlab) {
        slab.put(Place::Idle);
        self.ring.add(slab);
        self.bytes += slab.bytes;
    }

    /// Takes `slab` out, if it is one of them.
    pub fn remove(&mut self, slab: OwnedSlab) {
        if slab.place() == Place::Idle {
            slab.put(Place::Abandoned);
            self.ring.remove(slab);
            self.bytes -= slab.bytes;
            self.fewest = self.fewest.min(self.ring.count);
        }
    }

    /// If `period` milliseconds have passed since the last look: how many of the oldest nobody has
    /// needed since.
    pub fn look(&mut self, now: u64, period: u64) -> usize {
        if now.wrapping_sub(self.looked) < period {
            return 0;
        }
        self.looked = now;
        core::mem::replace(&mut self.fewest, self.ring.count)
    }
}
