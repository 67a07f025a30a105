//! The search for a block, and how a block is split and merged.

use std::cell::Cell;

use drystone::ListHeap;
use drystone::internals::{FutexLock, Mmap, Probe};

use super::support::{HEADER, free, sound};

#[test]
fn the_smallest_free_block_that_fits_is_taken() {
    let heap = ListHeap::new();
    // Free blocks of these sizes, kept apart by live ones.
    let sizes = [400, 100, 4000, 200, 30_000, 160];
    let blocks: Vec<_> =
        sizes.iter().map(|&size| (size, heap.malloc(size), heap.malloc(1))).collect();
    for &(_, block, _) in &blocks {
        free(&heap, block);
    }
    for wanted in [130, 180, 350, 20_000] {
        let best = blocks
            .iter()
            .filter(|(size, ..)| *size >= wanted)
            .min_by_key(|(size, ..)| *size)
            .unwrap();
        let got = heap.malloc(wanted);
        assert_eq!(got, best.1, "a request of {wanted} bytes");
        free(&heap, got);
    }
}

#[test]
fn among_equals_the_most_recently_freed_is_taken() {
    let heap = ListHeap::new();
    let blocks: Vec<_> =
        (0..8).map(|_| (heap.malloc(256), heap.malloc(1))).map(|pair| pair.0).collect();
    for &block in &blocks {
        free(&heap, block);
    }
    for &expected in blocks.iter().rev() {
        assert_eq!(heap.malloc(256), expected);
    }
}

#[test]
fn a_freed_block_is_the_next_one_allocated_for_its_size() {
    let heap = ListHeap::new();
    for size in [0, 1, 24, 100, 4096, 100_000, 400_000] {
        let block = heap.malloc(size);
        let fence = heap.malloc(1);
        free(&heap, block);
        assert_eq!(heap.malloc(size), block, "{size} bytes");
        free(&heap, block);
        free(&heap, fence);
    }
}

/// Counts the free blocks that a search looks at.
#[derive(Default)]
struct Visits(Cell<usize>);

impl Probe for &Visits {
    fn visit(&self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_search_looks_at_one_block_however_many_are_free() {
    let visits = Visits::default();
    let heap = ListHeap::with_parts(Mmap, &visits, FutexLock::new());
    let blocks: Vec<_> = (0..100_000usize).map(|n| heap.malloc(16 + n * 7919 % 2000)).collect();
    for pair in blocks.chunks(2) {
        // SAFETY: live, and not used again.
        unsafe { heap.try_free(pair[0]) }.unwrap();
    }
    assert!(heap.stats().free_blocks > 40_000);
    for size in 0..2000 {
        visits.0.set(0);
        assert!(!heap.malloc(size).is_null());
        assert!(visits.0.get() <= 1, "{} blocks visited for {size} bytes", visits.0.get());
    }
}

#[test]
fn a_remainder_that_can_hold_a_block_is_split_off() {
    let heap = ListHeap::new();
    let block = heap.malloc(1000);
    let fence = heap.malloc(1);
    let usable = heap.usable_size(block).unwrap();
    free(&heap, block);
    let small = heap.malloc(100);
    assert_eq!(small, block);
    assert_eq!(heap.usable_size(small).unwrap(), 112);
    let remainder = heap.malloc(usable - 112 - HEADER);
    assert_eq!(
        remainder as usize,
        small as usize + 112 + HEADER,
        "the remainder is a block of its own"
    );
    // 16 bytes can't hold a block: they stay with the one before.
    free(&heap, remainder);
    let most = heap.malloc(usable - 112 - 2 * HEADER);
    assert_eq!(most, remainder);
    assert_eq!(heap.usable_size(most).unwrap(), usable - 112 - HEADER);
    sound(&heap);
    free(&heap, fence);
}

#[test]
fn neighbours_merge_in_every_order_of_frees() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let heap = ListHeap::new();
        let blocks: Vec<_> = (0..3).map(|_| heap.malloc(100)).collect();
        let fence = heap.malloc(1);
        for index in order {
            free(&heap, blocks[index]);
        }
        let merged = heap.malloc(3 * 112 + 2 * HEADER);
        assert_eq!(merged, blocks[0], "{order:?}");
        free(&heap, merged);
        free(&heap, fence);
        assert_eq!(heap.stats().free_blocks, 1, "{order:?}");
    }
}
