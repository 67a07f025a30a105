//! Alignment, and blocks that are aligned to more than a page.

use std::alloc::{GlobalAlloc, Layout};

use drystone::ListHeap;
use drystone::internals::{FutexLock, Mmap, NoProbe, Os};

use super::support::{FakeOs, all_zero, fill, filled, free, sound};

#[test]
fn every_block_is_16_aligned_and_any_power_of_two_can_be_asked_for() {
    let heap = ListHeap::new();
    let mut blocks = Vec::new();
    for shift in 0..26 {
        for size in [0, 1, 100, 5000, 700_000] {
            let block = heap.malloc_aligned(size, 1 << shift);
            assert!(!block.is_null());
            assert_eq!(block as usize % (1usize << shift).max(16), 0);
            fill(block, size, shift as u8);
            blocks.push((block, size, shift as u8));
        }
        sound(&heap);
    }
    for (block, size, seed) in blocks {
        assert!(filled(block, size, seed));
        free(&heap, block);
    }
    assert!(heap.malloc_aligned(1, 0).is_null());
    assert!(heap.malloc_aligned(1, 24).is_null());
    assert!(heap.malloc_aligned(usize::MAX, 4096).is_null());
    assert!(heap.malloc_aligned(64, 1 << 63).is_null());
    sound(&heap);
}

#[test]
fn layouts_are_served_through_global_alloc() {
    let heap = ListHeap::new();
    for align in [1, 8, 64, 4096, 1 << 16] {
        let layout = Layout::from_size_align(1000, align).unwrap();
        // SAFETY: the layout is not empty; the block is used within its size and freed once.
        unsafe {
            let block = heap.alloc_zeroed(layout);
            assert_eq!(block as usize % align, 0);
            assert!(all_zero(block, 1000));
            fill(block, 1000, 5);
            let grown = GlobalAlloc::realloc(&heap, block, layout, 900_000);
            assert_eq!(grown as usize % align, 0);
            assert!(filled(grown, 1000, 5));
            heap.dealloc(grown, Layout::from_size_align(900_000, align).unwrap());
        }
        sound(&heap);
    }
    assert_eq!(heap.stats().live_blocks, 0);
}

#[test]
fn an_aligned_block_is_reused() {
    let heap = ListHeap::new().with_limit(256 << 10);
    let block = heap.malloc_aligned(4096, 4096);
    while heap.stats().free_blocks > 0 {
        assert!(!heap.malloc(heap.stats().largest_free).is_null());
    }
    free(&heap, block);
    assert_eq!(heap.malloc_aligned(4096, 4096), block);
}

/// The OS, but each mapping begins 4 KiB past a multiple of 1 MiB: what an over-aligned block makes
/// of a mapping no longer hangs on where the kernel puts it.
struct Crooked;

// SAFETY: a part of what Mmap gives: exclusive, zeroed, page-aligned. What lies around it leaks.
unsafe impl Os for Crooked {
    fn map(&self, bytes: usize) -> *mut u8 {
        let start = Mmap.map(bytes + (2 << 20));
        start.wrapping_add((start as usize).next_multiple_of(1 << 20) - start as usize + 4096)
    }

    unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: a part of a mapping of `Mmap`'s, to which nothing refers any more.
        unsafe { Mmap.unmap(start, bytes) }
    }

    unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        // SAFETY: a part of a mapping of `Mmap`'s; if it may move, the caller alone refers to it.
        unsafe { Mmap.remap(start, old, new, may_move) }
    }

    fn reserve(&self, _: usize, _: usize) -> *mut u8 {
        unreachable!("the classic allocator reserves nothing")
    }

    unsafe fn decommit(&self, _: *mut u8, _: usize) -> bool {
        unreachable!("the classic allocator keeps or unmaps whole regions")
    }

    fn entropy(&self) -> u64 {
        7
    }
}

#[test]
fn a_growth_of_an_over_aligned_block_that_fails_returns_null() {
    let heap = ListHeap::with_parts(Crooked, NoProbe, FutexLock::new()).with_limit(1 << 20);
    let block = heap.malloc_aligned(100, 1 << 20);
    fill(block, 100, 1);
    let usable = heap.usable_size(block).unwrap();
    for size in [usable + 1, 200_000, 400_000, 500_000, 5 << 20] {
        // SAFETY: live; used under the name it has afterwards.
        let grown = unsafe { heap.try_realloc(block, size) }.unwrap();
        assert!(grown.is_null(), "{usable} usable bytes are not {size}");
        assert!(filled(block, 100, 1));
        sound(&heap);
    }
    free(&heap, block);
}

#[test]
fn an_over_aligned_block_of_its_own_mapping_is_resized_and_counted() {
    let heap = ListHeap::with_parts(Crooked, NoProbe, FutexLock::new());
    for align in [1 << 20, 16 << 20] {
        let mut block = heap.malloc_aligned(100, align);
        fill(block, 100, 1);
        for size in [200_000, 3 << 20, 2 << 20, 600_000, 100] {
            // SAFETY: live; the new place is used from here on.
            block = unsafe { heap.try_realloc_aligned(block, size, align) }.unwrap();
            assert_eq!(block as usize % align, 0);
            assert!(heap.usable_size(block).unwrap() >= size && filled(block, 100, 1));
            sound(&heap);
        }
        free(&heap, block);
    }
    assert_eq!(heap.stats().live_bytes, 0);
}

#[test]
fn resizing_an_over_aligned_block_where_it_fits_does_not_call_the_os() {
    let os = FakeOs::default();
    let heap = ListHeap::with_parts(&os, NoProbe, FutexLock::new());
    let block = heap.malloc_aligned(600_000, 1 << 20);
    let layout_align = 1 << 20;
    // SAFETY: live, and it stays where it is.
    let first = unsafe { heap.try_realloc_aligned(block, 600_000, layout_align) }.unwrap();
    assert_eq!(first, block);
    let calls = os.calls.get();
    for size in 600_000..600_100 {
        // SAFETY: live, and it stays where it is.
        assert_eq!(unsafe { heap.try_realloc_aligned(block, size, layout_align) }.unwrap(), block);
    }
    assert_eq!(os.calls.get(), calls);
    free(&heap, block);
}
