//! A heap is a value: what it holds goes back with it; threads in it are kept apart; its figures.

use std::sync::atomic::{AtomicUsize, Ordering};

use drystone::ListHeap;
use drystone::internals::{FutexLock, Mmap, NoProbe, Probe};

use super::support::{FakeOs, HEADER, fill, filled, free, sound};

#[test]
fn a_dropped_heap_gives_everything_back() {
    let os = FakeOs::default();
    {
        let heap = ListHeap::with_parts(&os, NoProbe, FutexLock::new());
        for size in [1, 1000, 300_000, 3 << 20] {
            assert!(!heap.malloc(size).is_null());
        }
        assert_eq!(os.mapped.get(), heap.stats().mapped_bytes);
        assert!(os.mapped.get() > 3 << 20);
    }
    assert_eq!(os.mapped.get(), 0);
}

#[test]
fn an_unused_heap_maps_nothing() {
    let os = FakeOs::default();
    let heap = ListHeap::with_parts(&os, NoProbe, FutexLock::new());
    sound(&heap);
    assert_eq!(heap.stats(), drystone::Stats::default());
    assert_eq!(heap.trim(), 0);
    drop(heap);
    assert_eq!(os.calls.get(), 0);
}

#[test]
fn the_lock_keeps_threads_apart() {
    /// Counts threads inside the critical section.
    struct Inside {
        now: AtomicUsize,
        entries: AtomicUsize,
        worst: AtomicUsize,
    }
    impl Probe for &'static Inside {
        fn enter(&self) {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.worst.fetch_max(now, Ordering::SeqCst);
            self.entries.fetch_add(1, Ordering::SeqCst);
            if self.entries.load(Ordering::SeqCst).is_multiple_of(64) {
                std::thread::yield_now();
            }
        }
        fn leave(&self) {
            self.now.fetch_sub(1, Ordering::SeqCst);
        }
    }
    static INSIDE: Inside = Inside {
        now: AtomicUsize::new(0),
        entries: AtomicUsize::new(0),
        worst: AtomicUsize::new(0),
    };
    let inside = &INSIDE;
    let heap = ListHeap::with_parts(Mmap, inside, FutexLock::new());
    std::thread::scope(|scope| {
        for seed in 0..4u8 {
            let heap = &heap;
            scope.spawn(move || {
                for round in 0..2000usize {
                    let size = round * 31 % 3000;
                    let block = heap.malloc(size);
                    fill(block, size, seed);
                    assert!(filled(block, size, seed));
                    // SAFETY: live, this thread's own.
                    unsafe { heap.try_free(block) }.unwrap();
                }
            });
        }
    });
    assert_eq!(inside.worst.load(Ordering::SeqCst), 1);
    assert!(inside.entries.load(Ordering::SeqCst) >= 16_000);
    assert_eq!(inside.now.load(Ordering::SeqCst), 0);
    heap.check().unwrap();
}

#[test]
fn stats_count_what_is_there() {
    let heap = ListHeap::new();
    let (a, b) = (heap.malloc(100), heap.malloc(1 << 20));
    let stats = heap.stats();
    assert_eq!(stats.live_blocks, 2);
    assert_eq!(stats.live_bytes, 112 + (1 << 20));
    assert_eq!((stats.regions, stats.huge_blocks, stats.free_blocks), (1, 1, 1));
    // A region is its blocks, their headers, and the END header with room for links behind it.
    assert_eq!(stats.free_bytes, (256 << 10) - 128 - 2 * HEADER);
    assert_eq!(stats.largest_free, stats.free_bytes - HEADER);
    assert!(stats.mapped_bytes >= (1 << 20) + (256 << 10));
    free(&heap, a);
    free(&heap, b);
    assert_eq!((heap.stats().live_blocks, heap.stats().live_bytes), (0, 0));
}
