//! Current slabs that the heap does not need.

use crate::engine::classes::CLASSES;
use crate::engine::heap::Own;
use crate::engine::slab::owned::OwnedSlab;

/// The current slab's blocks were counted, and one is live.
const COUNTED: u32 = 1 << 16;

impl Own {
    /// Looks at the current slab of one class, each time of the next. If nothing seems to have
    /// happened in it since the last look, and no block of it is live, the placeholder `nothing`
    /// takes its place. Returns whether it did.
    pub fn look_at_one(&mut self, nothing: OwnedSlab) -> bool {
        let class = self.hand;
        self.hand = (class + 1) % CLASSES;
        if self.current[class].class() != class {
            // What was seen stays: a slab that comes back is kept until something happens in it.
            return false;
        }
        let head = u32::from(self.current[class].head());
        if self.seen[class] & !COUNTED != head {
            self.seen[class] = head;
            return false;
        }
        let idle = self.has_empty_current(class);
        if idle {
            self.drop_current(class, nothing);
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
}
