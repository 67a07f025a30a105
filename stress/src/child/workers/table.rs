//! An everyday program's operations on a table of blocks, for workloads whose point is what else
//! happens.

use drystone_checker::checked::{Block, Checked};
use drystone_workloads::sizes::{LogUniform, below};
use rand_pcg::Pcg64;

/// Blocks of a table at most.
const SLOTS: u64 = 256;

/// One block in so many is a mapping of its own in most allocators.
const HUGE_ONE_IN: u64 = 4096;

/// A table of blocks, and what is asked for.
#[derive(Debug)]
pub struct BlockTable {
    sizes: LogUniform,
    slots: Vec<Option<Block>>,
}

impl BlockTable {
    /// An empty table; sizes are log-uniform up to `largest` bytes, rounded down to a power of two,
    /// and rarely 1 to 4 MiB.
    pub fn new(largest: usize) -> Self {
        let sizes = LogUniform { octaves: largest.ilog2() };
        Self { sizes, slots: (0..SLOTS).map(|_| None).collect() }
    }

    fn size(&self, rng: &mut Pcg64) -> usize {
        match below(rng, HUGE_ONE_IN) {
            0 => (1 << 20) + below(rng, 3 << 20) as usize,
            _ => self.sizes.draw(rng),
        }
    }

    /// One operation on a slot at random.
    pub fn turn(&mut self, rng: &mut Pcg64, checked: &mut Checked<'_>) {
        let slot = below(rng, SLOTS) as usize;
        let size = self.size(rng);
        self.slots[slot] = match self.slots[slot].take() {
            None => Some(match below(rng, 8) {
                0 => {
                    let count = 1 + below(rng, 16) as usize;
                    checked.calloc(count, size / count)
                }
                1 => checked.aligned_alloc(16 << below(rng, 9), size),
                2 => checked.realloc_null(size),
                _ => checked.malloc(size),
            }),
            Some(block) => match below(rng, 8) {
                0..2 => checked.realloc(block, size.max(1)),
                2 => {
                    checked.verify(&block);
                    Some(block)
                }
                3 => {
                    checked.free(block);
                    Some(checked.malloc(size))
                }
                _ => {
                    checked.free(block);
                    None
                }
            },
        };
    }

    /// A block at random; none if the slot that is drawn is empty.
    pub fn pick(&self, rng: &mut Pcg64) -> Option<&Block> {
        self.slots[below(rng, SLOTS) as usize].as_ref()
    }

    /// Takes a block at random out of the table; none if the slot that is drawn is empty.
    pub fn take(&mut self, rng: &mut Pcg64) -> Option<Block> {
        self.slots[below(rng, SLOTS) as usize].take()
    }

    /// Puts a block into the table; if there is no room, it is returned.
    #[must_use]
    pub fn put(&mut self, block: Block) -> Option<Block> {
        match self.slots.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => slot.replace(block),
            None => Some(block),
        }
    }

    /// Reads every byte of every block.
    pub fn verify_all(&self, checked: &Checked<'_>) {
        self.slots.iter().flatten().for_each(|block| checked.verify(block));
    }

    /// Empties the table.
    pub fn free_all(&mut self, checked: &mut Checked<'_>) {
        self.slots.iter_mut().filter_map(Option::take).for_each(|block| checked.free(block));
    }
}
