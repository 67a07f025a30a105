//! The quarantine against a plain queue: what waits, in which order it goes, what is found.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::os::{Mmap, PAGE};
use crate::probe::NoProbe;

type Plain = Engine<Mmap, NoProbe, FutexLock>;

/// An engine for ever. It is made on a stack that is large enough.
fn engine() -> &'static Plain {
    let make = || {
        let engine = Engine::with_parts(Mmap, NoProbe, FutexLock::new());
        Box::into_raw(Box::new(engine)).expose_provenance()
    };
    let made =
        std::thread::Builder::new().stack_size(64 << 20).spawn(make).unwrap().join().unwrap();
    // SAFETY: made by `Box::into_raw`, and never freed.
    unsafe { &*ptr::with_exposed_provenance::<Plain>(made) }
}

fn waiting(quarantine: &Quarantine) -> (usize, usize) {
    quarantine.locked(|waiting| (waiting.end - waiting.first, waiting.bytes))
}

/// What to do: allocate so many bytes, or free the n-th live block.
#[derive(Clone, Debug)]
enum Step {
    Allocate(usize),
    Free(usize),
    /// Free the n-th waiting block once more.
    FreeAgain(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![8 => 1..600usize, 2 => 600..9000usize, 1 => Just(40_000usize)];
    let step = prop_oneof![
        4 => size.prop_map(Step::Allocate),
        4 => any::<usize>().prop_map(Step::Free),
        1 => any::<usize>().prop_map(Step::FreeAgain),
    ];
    prop::collection::vec(step, 1..150)
}

const LIMIT: usize = 16 << 10;

/// Frees what waits, the oldest first.
///
/// # Safety
/// The heap is the calling thread's.
unsafe fn let_all_go(quarantine: &Quarantine, engine: &Plain, heap: &Heap) {
    quarantine.locked(|waiting| {
        while waiting.end > waiting.first {
            // SAFETY: a block waits: the count is not 0.
            let (address, _) = unsafe { waiting.pop() };
            engine.let_go(address);
            let block = ptr::with_exposed_provenance_mut(address);
            // SAFETY: the heap is the calling thread's; what waits is freed once, and has just been
            // let go.
            unsafe { engine.try_free(heap, block) }.unwrap();
        }
    });
}

fn follow(engine: &'static Plain, steps: &[Step]) {
    let quarantine = Quarantine::new();
    quarantine.turn_on(LIMIT);
    let heap = engine.claim().unwrap();
    let mut live = Vec::<*mut u8>::new();
    let mut waits = VecDeque::<(*mut u8, usize)>::new();
    // SAFETY: the heap is this thread's; live blocks are freed once, others are rejected.
    unsafe {
        let before = engine.stats().live_blocks;
        for step in steps {
            match *step {
                Step::Allocate(size) => {
                    let block = engine.malloc(heap, size, 16);
                    assert!(!live.contains(&block), "no block has two owners");
                    assert!(
                        waits.iter().all(|waiting| waiting.0 != block),
                        "what waits is not allocated"
                    );
                    live.push(block);
                }
                Step::Free(_) if live.is_empty() => {}
                Step::Free(which) => {
                    let block = live.swap_remove(which % live.len());
                    let size = engine.usable_size(block).unwrap();
                    quarantine.free(engine, heap, block).unwrap();
                    if taken(size) <= LIMIT {
                        waits.push_back((block, size));
                    }
                    while waits.iter().map(|waiting| taken(waiting.1)).sum::<usize>() > LIMIT {
                        waits.pop_front();
                    }
                }
                Step::FreeAgain(_) if waits.is_empty() => {}
                Step::FreeAgain(which) => {
                    let block = waits[which % waits.len()].0;
                    let misuse = quarantine.free(engine, heap, block).unwrap_err();
                    assert_eq!(misuse.kind, MisuseKind::DoubleFree);
                    assert_eq!(misuse.found, Found::AtCall);
                }
            }
            let bytes = waits.iter().map(|waiting| taken(waiting.1)).sum();
            assert_eq!(waiting(&quarantine), (waits.len(), bytes));
        }
        // What waits is still in its slab; nothing else is left once the live ones are freed.
        quarantine.verify(engine);
        assert!(!engine.has_deferred(), "nobody wrote after a free");
        assert_eq!(engine.stats().live_blocks - before, live.len(), "what waits is not live");
        for block in live {
            quarantine.free(engine, heap, block).unwrap();
        }
        let_all_go(&quarantine, engine, heap);
        assert_eq!(engine.stats().live_blocks, before);
        engine.check(heap).unwrap();
        engine.release(heap);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn blocks_wait_first_in_first_out_within_the_limit(
        all in prop::collection::vec(steps(), 1..2),
    ) {
        static ENGINE: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
        let engine = *ENGINE.get_or_init(|| ptr::from_ref(engine()).expose_provenance());
        for steps in all {
            // SAFETY: an engine for ever.
            follow(unsafe { &*ptr::with_exposed_provenance::<Plain>(engine) }, &steps);
        }
    }
}

#[test]
fn the_first_byte_that_was_written_is_named_wherever_it_lies() {
    let engine = engine();
    let quarantine = Quarantine::new();
    quarantine.turn_on(LIMIT);
    let heap = engine.claim().unwrap();
    for byte in [0, 1, 7, 8, 63, 100, 111] {
        // SAFETY: the heap is this thread's. The block waits: what is written there is what is
        // tested.
        unsafe {
            let block = engine.malloc(heap, 112, 16);
            quarantine.free(engine, heap, block).unwrap();
            quarantine.verify(engine);
            assert!(!engine.has_deferred());
            block.add(byte).write(1);
            quarantine.verify(engine);
            let mut told = Vec::new();
            engine.tell_deferred(|misuse| told.push(*misuse));
            assert_eq!(told.len(), 1);
            assert_eq!(told[0].kind, MisuseKind::WriteAfterFree);
            assert_eq!(told[0].address, block.addr() + byte);
            assert_eq!(told[0].size, Some(112));
            quarantine.verify(engine);
            assert!(!engine.has_deferred(), "told once");
        }
    }
}

/// Bytes of the ring that are resident.
fn resident(quarantine: &Quarantine) -> usize {
    quarantine.locked(|waiting| {
        let bytes = waiting.slots * size_of::<Slot>();
        let mut pages = vec![0u8; bytes / PAGE];
        // SAFETY: the ring is a mapping of `bytes` bytes, and there is a byte for each of its
        // pages.
        let asked = unsafe { libc::mincore(waiting.ring.cast(), bytes, pages.as_mut_ptr()) };
        assert_eq!(asked, 0, "{}", std::io::Error::last_os_error());
        pages.iter().filter(|page| **page & 1 == 1).count() * PAGE
    })
}

/// Of the smallest blocks, whose slots are as large as they are, and of large ones after them.
#[test]
fn the_ring_counts_toward_the_limit_and_goes_back_where_nothing_waits() {
    // So that the ring is full to the last slot, and its newest page is its oldest too.
    const LIMIT: usize = (1 << 20) - taken(16);
    let engine = engine();
    let quarantine = Quarantine::new();
    quarantine.turn_on(LIMIT);
    let heap = engine.claim().unwrap();
    let free = |size, times| {
        for _ in 0..times {
            // SAFETY: the heap is this thread's, and the block is live.
            unsafe {
                let block = engine.malloc(heap, size, 16);
                quarantine.free(engine, heap, block).unwrap();
            }
            let (count, bytes) = waiting(&quarantine);
            assert!(bytes <= LIMIT && bytes >= count * taken(16), "{count} blocks, {bytes} bytes");
        }
    };
    // Three times round the ring.
    free(16, 3 * LIMIT / 16);
    let (count, bytes) = waiting(&quarantine);
    assert_eq!((count, bytes), (LIMIT / taken(16), LIMIT));
    let slots = resident(&quarantine);
    assert!((LIMIT / 2..=LIMIT / 2 + 2 * STEP).contains(&slots), "{slots} bytes of slots");
    free(1024, 3 * LIMIT / 16);
    let (count, slots) = (waiting(&quarantine).0, resident(&quarantine));
    assert!(slots <= count * size_of::<Slot>() + 2 * STEP, "{slots} bytes of slots for {count}");
    // SAFETY: the heap is this thread's, which does not use it any more.
    unsafe { engine.release(heap) };
}
