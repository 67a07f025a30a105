//! Resizing: in place, by a move, by remapping; and that it can fail.

use std::ptr;

use drystone::internals::{FutexLock, NoProbe};
use drystone::{ListHeap, MisuseKind};

use super::support::{FakeOs, HEADER, fill, filled, free, rejected, resize, sound};

#[test]
fn realloc_of_null_allocates_and_to_zero_frees() {
    let heap = ListHeap::new();
    let block = resize(&heap, ptr::null_mut(), 100);
    assert!(!block.is_null());
    assert!(resize(&heap, block, 0).is_null());
    assert_eq!(heap.stats().live_blocks, 0);
    assert_eq!(rejected(&heap, block).kind, MisuseKind::DoubleFree);
}

#[test]
fn realloc_shrinks_in_place_and_gives_the_rest_back() {
    let heap = ListHeap::new();
    let block = heap.malloc(10_000);
    let fence = heap.malloc(1);
    fill(block, 10_000, 1);
    assert_eq!(resize(&heap, block, 100), block);
    assert_eq!(heap.usable_size(block).unwrap(), 112);
    assert!(filled(block, 100, 1));
    let remainder = heap.malloc(9000);
    assert_eq!(remainder as usize, block as usize + 112 + HEADER);
    free(&heap, fence);
}

#[test]
fn realloc_grows_into_a_free_neighbour_and_into_the_regions_end() {
    let heap = ListHeap::new();
    let (block, next, fence) = (heap.malloc(100), heap.malloc(1000), heap.malloc(1));
    fill(block, 100, 9);
    free(&heap, next);
    assert_eq!(resize(&heap, block, 800), block);
    assert!(filled(block, 100, 9));
    // All of the neighbour, without a remainder.
    assert_eq!(resize(&heap, block, 112 + 1008 + HEADER), block);
    let moved = resize(&heap, block, 2000);
    assert_ne!(moved, block, "the fence is in the way");
    assert!(filled(moved, 100, 9));
    free(&heap, fence);
    let last = resize(&heap, moved, 100_000);
    assert_eq!(last, moved, "nothing but the region's free end behind it");
    assert!(filled(last, 100, 9));
}

#[test]
fn realloc_keeps_contents_across_every_boundary() {
    let heap = ListHeap::new();
    let sizes =
        [1, 16, 17, 500, 60_000, 524_272, 524_273, 524_288, 600_000, 5 << 20, 700_000, 3000, 24];
    let mut block = heap.malloc(1);
    fill(block, 1, 7);
    let mut held: usize = 1;
    for size in sizes.into_iter().chain(sizes.into_iter().rev()) {
        let fence = heap.malloc(40);
        block = resize(&heap, block, size);
        assert!(filled(block, held.min(size), 7), "from {held} to {size} bytes");
        assert!(heap.usable_size(block).unwrap() >= size);
        fill(block, size, 7);
        held = size;
        free(&heap, fence);
    }
    free(&heap, block);
    assert_eq!(heap.stats().live_blocks, 0);
}

#[test]
fn a_huge_block_grows_by_mremap() {
    let os = FakeOs::default();
    let heap = ListHeap::with_parts(&os, NoProbe, FutexLock::new());
    let mut block = heap.malloc(1 << 20);
    fill(block, 1 << 20, 1);
    for megabytes in 2..40 {
        let calls = os.calls.get();
        // SAFETY: live; the new place is used from here on.
        block = unsafe { heap.try_realloc(block, megabytes << 20) }.unwrap();
        assert!(!block.is_null());
        assert_eq!(os.calls.get(), calls + 1, "one call, no copy");
        sound(&heap);
    }
    assert!(filled(block, 1 << 20, 1));
    free(&heap, block);
}

#[test]
fn a_failed_realloc_leaves_the_block_as_it_was() {
    let heap = ListHeap::new().with_limit(3 << 20);
    let small = heap.malloc(5000);
    let huge = heap.malloc(1 << 20);
    fill(small, 5000, 2);
    fill(huge, 1 << 20, 4);
    let before = heap.stats();
    for size in [4 << 20, isize::MAX as usize, isize::MAX as usize + 1, usize::MAX] {
        assert!(resize(&heap, small, size).is_null());
        assert!(resize(&heap, huge, size).is_null());
    }
    assert_eq!(heap.stats(), before);
    assert!(filled(small, 5000, 2) && filled(huge, 1 << 20, 4));
    free(&heap, small);
    free(&heap, huge);
}
