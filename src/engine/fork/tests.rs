use std::{ptr, thread};

use super::*;
use crate::engine::heap::Heap;
use crate::misuse::MisuseKind;
use crate::os::Mmap;
use crate::probe::NoProbe;
use crate::sync::FutexLock;

type Tested = Engine<Mmap, NoProbe, FutexLock>;

const MIB: usize = 1 << 20;

/// Runs `f` on an engine of its own, which is more than a test's stack has room for.
fn on_an_engine(f: impl FnOnce(&Tested) + Send) {
    thread::scope(|scope| {
        let large = thread::Builder::new().stack_size(64 << 20);
        let run = || f(&Engine::with_parts(Mmap, NoProbe, FutexLock::new()));
        large.spawn_scoped(scope, run).unwrap();
    });
}

/// Live blocks of all kinds in a heap of the calling thread's, every other one freed again.
fn used(engine: &Tested, heap: &Heap) -> Vec<*mut u8> {
    let sizes = [16, 100, 5000, 40_960, 300_000, MIB, 3 * MIB, 5 * MIB];
    // SAFETY: the heap is this thread's, and what is freed is live.
    let blocks: Vec<_> = (0..400)
        .map(|turn| unsafe { engine.malloc(heap, sizes[turn % sizes.len()], 16) })
        .collect();
    for block in blocks.iter().skip(1).step_by(3) {
        // SAFETY: the heap is this thread's, and the block is live.
        unsafe { engine.try_free(heap, *block) }.unwrap();
    }
    blocks.into_iter().enumerate().filter(|(turn, _)| turn % 3 != 1).map(|(_, b)| b).collect()
}

#[test]
fn where_no_thread_vanished_there_is_nothing_to_pay() {
    on_an_engine(|engine| {
        let (local, other) = (engine.claim().unwrap(), engine.claim().unwrap());
        // SAFETY: both heaps are this thread's, as a fork would find them.
        unsafe {
            let blocks = [(); 4].map(|()| engine.malloc(local, 64, 16));
            engine.begin_child();
            assert!(engine.free_remote(other, blocks[0]), "the quick way is open");
            assert!(!engine.forked.load(Ordering::Relaxed));
            local.thread.store(1, Ordering::Relaxed);
            engine.begin_child();
            assert!(!engine.free_remote(other, blocks[1]), "the owner does not exist");
            engine.try_free(other, blocks[1]).unwrap();
            let slab = engine.page_map.slab_at(blocks[2].addr());
            let owner = (*slab).owner.load(Ordering::Relaxed);
            assert_eq!(owner, ptr::from_ref(other).addr(), "reclaimed");
        }
    });
}

/// All that a rebuilt engine needs is in what it is rebuilt from.
#[test]
fn an_engine_that_is_rebuilt_has_every_live_block_and_no_other() {
    on_an_engine(|engine| {
        let heap = engine.claim().unwrap();
        let blocks = used(engine, heap);
        // What an exited thread leaves: parked, and abandoned.
        let left: Vec<_> = [0, 1]
            .map(|_| {
                let heap = engine.claim().unwrap();
                let blocks = used(engine, heap);
                // SAFETY: claimed above.
                unsafe { engine.release(heap) };
                blocks
            })
            .into_iter()
            .flatten()
            .collect();
        engine.abandon_parked(0);
        let parked = engine.claim().unwrap();
        // SAFETY: the heap is this thread's.
        let few = unsafe { engine.malloc(parked, 100, 16) };
        // SAFETY: this thread claimed the heap, and does not use it any more.
        unsafe { engine.release(parked) };

        let (before, layers) = (engine.stats(), engine.layer_stats());
        engine.locked(|shared| {
            // Not what a vanished thread can leave, but worse.
            shared.spans.scramble();
            engine.rebuild(shared);
        });
        let (after, now) = (engine.stats(), engine.layer_stats());
        assert_eq!((after.live_blocks, after.live_bytes), (before.live_blocks, before.live_bytes));
        assert_eq!((after.huge_blocks, after.regions), (before.huge_blocks, before.regions));
        // Idle slabs are abandoned ones until the next scan gives them back.
        assert_eq!(now.span_bytes + now.idle_bytes, layers.span_bytes + layers.idle_bytes);
        // SAFETY: the heap is this thread's, and the blocks are live once.
        unsafe {
            engine.check(heap).unwrap();
            for block in blocks.into_iter().chain(left).chain([few]) {
                engine.try_free(heap, block).unwrap();
                let again = engine.try_free(heap, block).unwrap_err();
                assert_eq!(again.kind, MisuseKind::DoubleFree);
            }
            engine.trim(heap);
            engine.check(heap).unwrap();
        }
        assert_eq!((engine.stats().live_blocks, engine.stats().misuses_late), (0, 0));
        assert_eq!(engine.stats().regions, 0, "every slab comes back");
    });
}

/// A header that says that its block is somewhere else, or that has zeroes, is nobody's.
#[test]
fn a_huge_block_in_a_vanished_threads_hands_is_forgotten() {
    on_an_engine(|engine| {
        let heap = engine.claim().unwrap();
        // SAFETY: the heap is this thread's; the blocks are live.
        unsafe {
            let [lifted, half, whole] = [(); 3].map(|()| engine.malloc(heap, 3 * MIB, 16));
            engine.locked(|shared| {
                let header = engine.huge_at(lifted.addr()).unwrap();
                shared.huge.lift(header);
                let header = engine.huge_at(half.addr()).unwrap();
                shared.huge.block(header).used = 0;
                engine.rebuild(shared);
            });
            assert_eq!(engine.stats().huge_blocks, 1);
            assert_eq!(engine.try_free(heap, lifted).unwrap_err().address, lifted.addr());
            engine.try_free(heap, whole).unwrap();
        }
    });
}

/// A lock that a vanished thread has is taken away; one that the calling thread has stays.
#[test]
fn the_lock_says_whether_anything_is_to_be_done() {
    on_an_engine(|engine| {
        let heap = engine.claim().unwrap();
        // SAFETY: this thread uses the engine alone, as the only one of a child would.
        unsafe {
            thread::scope(|scope| _ = scope.spawn(|| engine.lock.lock()));
            assert_eq!(engine.holder(), Holder::Other);
            engine.begin_child();
            assert_eq!(engine.holder(), Holder::Nobody);
            assert!(!engine.malloc(heap, 3 * MIB, 16).is_null());

            engine.lock.lock();
            engine.begin_child();
            assert_eq!(engine.holder(), Holder::Here, "the interrupted call goes on");
            engine.lock.unlock();
        }
    });
}
