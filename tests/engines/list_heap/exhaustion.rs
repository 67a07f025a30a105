//! A limit that is reached, and an OS that has no memory.

use drystone::ListHeap;
use drystone::internals::{FutexLock, NoProbe};

use super::support::{FakeOs, fill, filled, free, sound};

#[test]
fn a_limit_makes_requests_fail_without_changing_anything() {
    let heap = ListHeap::new().with_limit(1 << 20);
    let mut blocks = Vec::new();
    loop {
        let before = heap.stats();
        let block = heap.malloc(10_000);
        if block.is_null() {
            assert_eq!(heap.stats(), before);
            break;
        }
        fill(block, 10_000, blocks.len() as u8);
        blocks.push(block);
    }
    assert!(blocks.len() > 70, "{} blocks of 10,000 bytes in 1 MiB", blocks.len());
    assert!(heap.calloc(1, 10_000).is_null() && heap.malloc(1 << 20).is_null());
    for (number, &block) in blocks.iter().enumerate() {
        assert!(filled(block, 10_000, number as u8));
    }
    free(&heap, blocks.pop().unwrap());
    blocks.push(heap.malloc(10_000));
    assert!(!blocks.last().unwrap().is_null(), "later success");
    for block in blocks {
        free(&heap, block);
    }
}

/// Every call to the OS fails in turn, in a run that comes by all of them.
#[test]
fn every_failure_of_the_os_is_survived() {
    let run = |heap: &ListHeap<&FakeOs>| {
        let mut blocks: Vec<(*mut u8, usize, u8)> = Vec::new();
        for (number, size) in
            [100, 200_000, 400_000, 600_000, 2 << 20, 50_000, 64].into_iter().enumerate()
        {
            let block = heap.malloc(size);
            if !block.is_null() {
                fill(block, size, number as u8);
                blocks.push((block, size, number as u8));
            }
        }
        for (block, size, seed) in &mut blocks {
            // SAFETY: live; the old one is forgotten if the new one comes.
            let resized = unsafe { heap.try_realloc(*block, *size * 3 + 600_000) }.unwrap();
            if !resized.is_null() {
                *block = resized;
            }
            assert!(filled(*block, *size, *seed));
            // SAFETY: live; the new place is used from here on.
            let shrunk = unsafe { heap.try_realloc(*block, *size) }.unwrap();
            assert!(!shrunk.is_null(), "shrinking needs no memory");
            *block = shrunk;
            assert!(filled(*block, *size, *seed));
            sound(heap);
        }
        for (block, ..) in blocks {
            free(heap, block);
        }
        heap.trim();
        sound(heap);
        assert_eq!(heap.stats().live_blocks, 0);
    };
    let mut failed = 0;
    loop {
        let os = FakeOs::default();
        os.fail_from.set(failed);
        os.fail_to.set(failed + 1);
        let heap = ListHeap::with_parts(&os, NoProbe, FutexLock::new());
        run(&heap);
        let calls = os.calls.get();
        run(&heap);
        heap.trim();
        assert_eq!(heap.stats().regions + heap.stats().huge_blocks, 0);
        drop(heap);
        assert_eq!(os.mapped.get(), 0, "everything goes back although call {failed} failed");
        if calls <= failed {
            break;
        }
        failed += 1;
    }
    assert!(failed > 10, "{failed} calls to the OS in the whole run");
}

#[test]
fn a_limit_admits_all_that_fits_once_idle_memory_has_gone() {
    let heap = ListHeap::new().with_limit(1 << 20);
    free(&heap, heap.malloc(100));
    let most = heap.malloc(1 << 20);
    assert!(!most.is_null(), "an empty heap serves its limit");
    assert!(heap.malloc(1).is_null());
    free(&heap, most);
    free(&heap, heap.malloc(100));
}
