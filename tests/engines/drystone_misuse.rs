//! The name that a misuse gets, where little is left of the block.

use drystone::internals::{Engine, FutexLock, Mmap, NoProbe};
use drystone::{BlockState, MisuseKind};

use crate::heaps::{Claim, engine};

const MIB: usize = 1 << 20;

fn plain() -> Box<Engine<Mmap, NoProbe, FutexLock>> {
    engine(Mmap, NoProbe, FutexLock::new())
}

/// The memory of freed huge blocks' places was short.
#[test]
fn a_double_free_of_a_huge_block_behind_a_thousand_others_is_named() {
    const OTHERS: usize = 1024;
    let engine = plain();
    let local = Claim::new(&engine).unwrap();
    let first = local.malloc(2 * MIB);
    // All at once, so that each has a place of its own.
    let others: Vec<_> = (0..OTHERS).map(|_| local.malloc(2 * MIB)).collect();
    local.free(first);
    others.into_iter().for_each(|block| local.free(block));
    let misuse = local.try_free(first).unwrap_err();
    assert_eq!(misuse.kind, MisuseKind::DoubleFree);
    assert!(misuse.size.is_some_and(|size| size >= 2 * MIB), "its size is known: {misuse:?}");
}

/// A place that a huge block had left by `mremap` was forgotten, and who freed it there was told of
/// a foreign pointer.
#[test]
fn a_double_free_at_the_place_that_a_huge_block_moved_from_is_named() {
    let engine = plain();
    let local = Claim::new(&engine).unwrap();
    let mut moved = 0;
    // Most have a neighbour behind them and can't grow where they are.
    let blocks: Vec<_> = (0..8).map(|_| local.malloc(2 * MIB)).collect();
    for block in blocks {
        let grown = local.realloc(block, 6 * MIB);
        if grown != block {
            moved += 1;
            let misuse = local.try_free(block).unwrap_err();
            assert_eq!(misuse.kind, MisuseKind::DoubleFree);
            assert!(
                misuse.size.is_some_and(|size| size >= 2 * MIB),
                "its size is known: {misuse:?}"
            );
        }
        local.free(grown);
    }
    assert!(moved > 0, "no block moved");
    local.sound();
}

/// A slab's memory went back, and another slab came to lie there. Where that had no block yet, the
/// second free of a block of the slab before was called the free of a foreign pointer.
#[test]
fn a_double_free_in_a_slab_after_the_blocks_own_is_named() {
    const SIZE: usize = 8192;
    let engine = plain();
    let local = Claim::new(&engine).unwrap();
    let old: Vec<_> = (0..64).map(|_| local.malloc(SIZE)).collect();
    old.iter().for_each(|&block| local.free(block));
    // SAFETY: the heap is this thread's.
    unsafe { engine.trim(local.heap) };
    let new = local.malloc(SIZE);
    assert!(old.contains(&new), "the memory is used again");
    for block in old.into_iter().filter(|&block| block != new) {
        assert_eq!(local.try_free(block).unwrap_err().kind, MisuseKind::DoubleFree, "{block:p}");
    }
    local.free(new);
    local.sound();
}

/// Memory that is the engine's and never held a block says nothing of a double free.
#[test]
fn a_free_of_memory_that_never_was_used_is_foreign() {
    let engine = plain();
    let local = Claim::new(&engine).unwrap();
    let block = local.malloc(8192);
    for ahead in [64 << 10, MIB, 2 * MIB] {
        let misuse = local.try_free(block.wrapping_add(ahead)).unwrap_err();
        let said = (misuse.kind, misuse.state);
        assert_eq!(said, (MisuseKind::ForeignPointer, BlockState::Unknown), "{ahead} bytes on");
    }
    local.free(block);
    local.sound();
}
