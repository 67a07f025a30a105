//! Current slabs that the heap does not need.

use crate::engine::classes::CLASSES;
use crate::engine::heap::Own;
use crate::engine::slab::owned::OwnedSlab;

/// The current slab's blocks were counted, and one is live.
const COUNTED: u32 = 1 << 16;

/// Ticks that empty slabs are held at most. 32 threads that took 256 KiB in each of 64 classes, and
/// idle, keep 44 MiB; with 3 ticks it is 57, and 82 with 64.
pub const HELD: u8 = 2;

impl Own {
    /// Looks at the current slab of one class, each time of the next. If nothing seems to have
    /// happened in it for as long as it is held, and no block of it is live, the placeholder
    /// `nothing` takes its place. Returns whether it did.
    pub fn look_at_one(&mut self, nothing: OwnedSlab) -> bool {
        let class = self.hand;
        self.hand = (class + 1) % CLASSES;
        if self.current[class].class() != class {
            // What was seen stays: a slab that comes back is kept until something happens in it.
            return false;
        }
        let head = u32::from(self.current[class].head());
        if self.seen[class] & !COUNTED != head {
            (self.seen[class], self.quiet[class]) = (head, 0);
            return false;
        }
        self.quiet[class] = self.quiet[class].saturating_add(1);
        if self.quiet[class] < self.hold[class].turns() {
            return false;
        }
        let idle = self.has_empty_current(class);
        if idle {
            self.drop_current(class, nothing);
            self.hold[class].went();
        }
        idle
    }

    /// Whether `class` has a current slab without a live block. The walk along its list is made
    /// once, and not again before something happens.
    pub fn has_empty_current(&mut self, class: usize) -> bool {
        let current = self.current[class];
        let counted = u32::from(current.head()) | COUNTED;
        if current.class() != class || self.seen[class] == counted {
            return false;
        }
        self.seen[class] = counted;
        current.count_used() == 0
    }

    /// Empty slabs that went back were needed again: they are held longer.
    pub fn hold_idle(&mut self) {
        self.idle_hold = HELD;
    }

    /// Some time has passed: what was needed soon after it went back may go sooner again.
    pub fn halve_holds(&mut self) {
        self.idle_hold = 1;
        for hold in &mut self.hold {
            hold.halve();
        }
    }
}
