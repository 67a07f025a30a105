//! The table of huge blocks, made anew from the page map: in a forked child, where a vanished
//! thread may have left it in mid-change.

use crate::engine::classes::UNIT;
use crate::engine::huge::Huge;
use crate::engine::huge::header::HugeRef;
use crate::engine::huge::kept::Kept;

impl Huge {
    /// Forgets all blocks, for [`take_up`](Self::take_up), and for good the headers without a block and
    /// the kept mappings. Graves stay: they are only good for words.
    pub fn forget(&mut self) {
        (self.live, self.pool) = (None, None);
        (self.count, self.bytes, self.excess) = (0, 0, 0);
        self.kept = Kept::new();
    }

    /// Takes up the block that the page map names for the unit at `address`, unless it was in a
    /// vanished thread's hands. A header that is being made or ended has zeroes where it has not
    /// what the block had.
    pub fn take_up(&mut self, header: HugeRef, address: usize) {
        let first = self.live;
        let block = self.block(header);
        let whole = 0 < block.size && block.size <= block.used && block.used <= block.mapped;
        if block.start & !(UNIT - 1) != address || !whole {
            return;
        }
        (block.previous, block.next) = (None, first);
        let (size, excess) = (block.size, block.excess());
        if let Some(first) = first {
            self.block(first).previous = Some(header);
        }
        self.live = Some(header);
        self.count += 1;
        self.bytes += size;
        self.excess += excess;
    }
}
