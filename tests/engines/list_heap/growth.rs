//! Memory from the OS, and back: regions, huge blocks, the region that is kept.

use drystone::ListHeap;
use drystone::internals::{FutexLock, NoProbe};

use super::support::{FakeOs, fill, free, sound};

#[test]
fn regions_grow_geometrically_up_to_a_bound() {
    let heap = ListHeap::new();
    let mut sizes = Vec::new();
    let mut before = 0;
    while sizes.len() < 7 {
        assert!(!heap.malloc(100_000).is_null());
        let stats = heap.stats();
        if stats.regions > sizes.len() {
            let now = stats.live_bytes + stats.free_bytes;
            sizes.push((now - before).next_power_of_two() >> 10);
            before = now;
        }
    }
    assert_eq!(sizes, [256, 512, 1024, 2048, 4096, 4096, 4096]);
}

#[test]
fn a_huge_request_has_a_mapping_of_its_own_that_goes_back_at_once() {
    let heap = ListHeap::new();
    let small = heap.malloc(1);
    let before = heap.stats();
    let huge = heap.malloc(10 << 20);
    fill(huge, 10 << 20, 3);
    let with = heap.stats();
    assert_eq!((with.huge_blocks, with.regions), (1, before.regions));
    assert_eq!(with.mapped_bytes - before.mapped_bytes, 10 << 20);
    free(&heap, huge);
    assert_eq!(heap.stats().mapped_bytes, before.mapped_bytes);
    free(&heap, small);
}

#[test]
fn free_regions_go_back_except_one() {
    let heap = ListHeap::new();
    let blocks: Vec<_> = (0..200).map(|_| heap.malloc(100_000)).collect();
    assert!(heap.stats().regions > 5);
    for block in blocks {
        free(&heap, block);
    }
    assert_eq!(heap.stats().regions, 1, "hysteresis keeps one");
    assert!(heap.trim() > 0);
    assert_eq!(heap.stats().regions, 0);
    assert_eq!(heap.trim(), 0);
    sound(&heap);
    let again = heap.malloc(100);
    free(&heap, again);
}

#[test]
fn freeing_and_allocating_at_the_edge_of_a_region_does_not_call_the_os() {
    let os = FakeOs::default();
    let heap = ListHeap::with_parts(&os, NoProbe, FutexLock::new());
    free(&heap, heap.malloc(1000));
    let calls = os.calls.get();
    for _ in 0..1000 {
        free(&heap, heap.malloc(1000));
    }
    assert_eq!(os.calls.get(), calls);
}

#[test]
fn the_region_that_is_kept_is_the_largest() {
    let os = FakeOs::default();
    let heap = ListHeap::with_parts(&os, NoProbe, FutexLock::new());
    free(&heap, heap.malloc(100));
    free(&heap, heap.malloc(300_000));
    let calls = os.calls.get();
    for _ in 0..1000 {
        free(&heap, heap.malloc(300_000));
    }
    assert_eq!((os.calls.get(), heap.stats().regions), (calls, 1));
}
