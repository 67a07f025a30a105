//! Requests of no bytes, and of zeroed ones.

use drystone::ListHeap;

use super::support::{all_zero, fill, free, sound};

#[test]
fn zero_bytes_give_a_pointer_of_their_own() {
    let heap = ListHeap::new();
    let (a, b) = (heap.malloc(0), heap.calloc(0, 8));
    assert!(!a.is_null() && !b.is_null() && a != b);
    free(&heap, a);
    free(&heap, b);
}

#[test]
fn calloc_zeroes_dirty_memory_and_rejects_overflow() {
    let heap = ListHeap::new();
    for size in [1, 24, 100, 5000, 300_000, 1 << 20] {
        for _ in 0..3 {
            let dirty = heap.malloc(size);
            fill(dirty, size, 0xA5);
            free(&heap, dirty);
            let zeroed = heap.calloc(size, 1);
            assert!(all_zero(zeroed, size));
            fill(zeroed, size, 0x5A);
            free(&heap, zeroed);
        }
    }
    assert!(heap.calloc(usize::MAX / 2, 3).is_null());
    assert!(heap.calloc(usize::MAX, usize::MAX).is_null());
    sound(&heap);
}

/// Pages of a mapping that are resident, by mincore(2).
fn resident_pages(start: *mut u8, pages: usize) -> usize {
    let mut vector = vec![0u8; pages];
    let page = (start as usize).next_multiple_of(4096);
    // SAFETY: `pages` whole pages behind `page` are inside the caller's live block.
    let failed = unsafe { libc::mincore(page as *mut _, pages * 4096, vector.as_mut_ptr()) };
    assert_eq!(failed, 0);
    vector.iter().filter(|page| **page & 1 == 1).count()
}

#[test]
fn calloc_does_not_write_pages_fresh_from_the_os() {
    let heap = ListHeap::new();
    let huge = heap.calloc(16 << 20, 1);
    assert_eq!(resident_pages(huge, 4000), 0);
    let in_region = heap.calloc(200_000, 1);
    assert_eq!(heap.stats().regions, 1);
    assert_eq!(resident_pages(in_region, 40), 0);
}
