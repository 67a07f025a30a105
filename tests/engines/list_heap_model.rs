//! Random operations on a [`ListHeap`] beside a model that knows every block and searches by
//! looking at all of them: where the heap puts a block is where the best-fit, last-freed-first rule
//! says.

use std::collections::BTreeMap;

use drystone::{ListHeap, MisuseKind};
use proptest::prelude::*;

const HEADER: usize = 16;
const MIN_BLOCK: usize = 32;
/// At a region's end, no block's.
const END_BYTES: usize = 32;
const REGION: usize = 256 << 10;
/// Requests that keep to one region, so that the model needs to know nothing of growth.
const LIMIT: usize = REGION;

/// One region as a list of blocks, the last freed at the end of `freed`.
struct Model {
    /// Address of a block (its header) to its size and whether it is live.
    blocks: BTreeMap<usize, (usize, bool)>,
    /// Free blocks in the order in which they entered their lists.
    freed: Vec<usize>,
}

impl Model {
    fn new(start: usize) -> Model {
        Model { blocks: BTreeMap::from([(start, (REGION - END_BYTES, false))]), freed: vec![start] }
    }

    fn block_size(request: usize) -> usize {
        (request + HEADER).next_multiple_of(16).max(MIN_BLOCK)
    }

    /// The smallest that fits; among equals the last freed. By looking at every one.
    fn best_fit(&self, size: usize) -> Option<usize> {
        let fits = self.freed.iter().rev().filter(|block| self.blocks[block].0 >= size);
        // min_by_key keeps the first of equals: in reverse order, the last freed.
        fits.min_by_key(|block| self.blocks[block].0).copied()
    }

    fn malloc(&mut self, request: usize) -> Option<usize> {
        let need = Model::block_size(request);
        let block = self.best_fit(need)?;
        self.freed.retain(|freed| *freed != block);
        let (size, _) = self.blocks[&block];
        let now = if size - need >= MIN_BLOCK { need } else { size };
        self.blocks.insert(block, (now, true));
        if now < size {
            self.blocks.insert(block + now, (size - now, false));
            self.freed.push(block + now);
        }
        Some(block + HEADER)
    }

    fn free(&mut self, payload: usize) {
        let mut block = payload - HEADER;
        let mut size = self.blocks[&block].0;
        let next = block + size;
        if let Some(&(next_size, false)) = self.blocks.get(&next) {
            self.forget(next);
            size += next_size;
        }
        let front = self.blocks.range(..block).next_back().map(|(front, state)| (*front, *state));
        if let Some((front, (front_size, false))) = front {
            self.forget(front);
            self.blocks.remove(&block);
            block = front;
            size += front_size;
        }
        self.blocks.insert(block, (size, false));
        self.freed.push(block);
    }

    /// Grows or shrinks in place if it can; true if it could.
    fn resize_in_place(&mut self, payload: usize, request: usize) -> bool {
        let (block, need) = (payload - HEADER, Model::block_size(request));
        let size = self.blocks[&block].0;
        let next = block + size;
        let mut total = size;
        if need > size {
            match self.blocks.get(&next) {
                Some(&(next_size, false)) if size + next_size >= need => total += next_size,
                _ => return false,
            }
            self.forget(next);
        }
        if total - need < MIN_BLOCK {
            self.blocks.insert(block, (total, true));
            return true;
        }
        self.blocks.insert(block, (need, true));
        self.blocks.insert(block + need, (total - need, true));
        self.free(block + need + HEADER);
        true
    }

    fn forget(&mut self, block: usize) {
        self.blocks.remove(&block);
        self.freed.retain(|freed| *freed != block);
    }
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Malloc(usize),
    Free(usize),
    Resize(usize, usize),
    FreeAgain(usize),
}

fn sizes() -> impl Strategy<Value = usize> {
    // Few distinct small sizes, so that equals meet; some large ones, so that memory runs out.
    prop_oneof![6 => (0usize..12).prop_map(|n| n * 24), 2 => 0usize..3000, 1 => 0usize..60_000]
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let one = prop_oneof![
        5 => sizes().prop_map(Operation::Malloc),
        4 => any::<usize>().prop_map(Operation::Free),
        2 => (any::<usize>(), sizes()).prop_map(|(which, size)| Operation::Resize(which, size)),
        1 => any::<usize>().prop_map(Operation::FreeAgain),
    ];
    prop::collection::vec(one, 1..400)
}

/// Resizes a live block in the heap and in the model: where it lies then, unless memory ran out.
fn resize(
    heap: &ListHeap,
    model: &mut Model,
    (block, held): (usize, usize),
    size: usize,
) -> Result<Option<usize>, TestCaseError> {
    // SAFETY: the caller's block is live, and it uses the result instead, if there is one.
    let now = unsafe { heap.try_realloc_aligned(block as *mut u8, size, 16) }.unwrap();
    let expected = if model.resize_in_place(block, size) {
        Some(block)
    } else {
        let moved = model.malloc(size);
        if moved.is_some() {
            model.free(block);
        }
        moved
    };
    let found = (!now.is_null()).then_some(now as usize);
    prop_assert_eq!(found, expected);
    if found.is_some() {
        // SAFETY: a live block of `size` bytes, of which the old ones were written.
        let kept = unsafe { std::slice::from_raw_parts(now, held.min(size)) };
        prop_assert!(kept.iter().all(|byte| *byte == 0xA5));
        // SAFETY: a live block of `size` bytes that nobody else uses.
        unsafe { now.write_bytes(0xA5, size) };
    }
    Ok(found)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn blocks_lie_where_best_fit_puts_them(operations in operations()) {
        let heap = ListHeap::new().with_limit(LIMIT);
        // The first block of the first region begins behind the first header.
        let first = heap.malloc(1);
        let start = first as usize - HEADER;
        // SAFETY: live, not used again.
        unsafe { heap.try_free(first) }.unwrap();
        let mut model = Model::new(start);
        let (mut live, mut dead) = (Vec::<(usize, usize)>::new(), Vec::new());

        for operation in operations {
            match operation {
                Operation::Malloc(size) => {
                    let block = heap.malloc(size);
                    let found = (!block.is_null()).then_some(block as usize);
                    prop_assert_eq!(found, model.malloc(size));
                    if !block.is_null() {
                        // SAFETY: a new live block of `size` bytes.
                        unsafe { block.write_bytes(0xA5, size) };
                        live.push((block as usize, size));
                    }
                }
                Operation::Free(which) if !live.is_empty() => {
                    let (block, _) = live.swap_remove(which % live.len());
                    // SAFETY: live, not used again.
                    unsafe { heap.try_free(block as *mut u8) }.unwrap();
                    model.free(block);
                    dead.push(block);
                }
                Operation::Resize(which, size) if !live.is_empty() => {
                    let slot = which % live.len();
                    if let Some(now) = resize(&heap, &mut model, live[slot], size)? {
                        live[slot] = (now, size);
                    }
                }
                Operation::FreeAgain(which) if !dead.is_empty() => {
                    let block = dead[which % dead.len()];
                    if live.iter().all(|(live, _)| *live != block) {
                        // SAFETY: not a live block: nothing is asked.
                        let misuse = unsafe { heap.try_free(block as *mut u8) }.unwrap_err();
                        // It may lie within a block that has been allocated since.
                        prop_assert!(matches!(
                            misuse.kind,
                            MisuseKind::DoubleFree | MisuseKind::InteriorPointer
                        ));
                    }
                }
                _ => {}
            }
            heap.check().unwrap();
            let stats = heap.stats();
            prop_assert_eq!(stats.free_blocks, model.freed.len());
            prop_assert_eq!(stats.live_blocks, live.len());
            let largest = model.freed.iter().map(|block| model.blocks[block].0).max();
            prop_assert_eq!(stats.largest_free, largest.map_or(0, |size| size - HEADER));
        }
    }
}
