//! What only shows inside `global`.

use super::*;
use crate::engine::classes::UNIT;
use crate::engine::global::fast::clear;
use crate::engine::heap::Heap;
use crate::engine::slab::Place;
use crate::engine::slab::owned::OwnedSlab;

/// A free that moves its slab must look it up in the exact map: between its two halves another
/// thread may have made a slab 64 GiB away, which now stands in the table that the first half
/// looked into.
#[test]
fn a_free_that_moves_its_slab_moves_that_slab() {
    const APART: usize = 64 << 30;
    // Full slabs of 8 blocks of 8 KiB: the first free of one moves it. One of other sizes is who
    // stands there.
    let blocks: Vec<_> = (0..64).map(|_| Drystone.malloc(8192)).collect();
    let other = Drystone.malloc(3000);
    let page_map = &ENGINE.page_map;
    let place = |block: *mut u8| {
        // SAFETY: a live block's slab, which is this thread's.
        unsafe { OwnedSlab::new(page_map.slab_at(block.addr())) }.place()
    };
    let block = *blocks.iter().find(|&&block| place(block) == Place::Full).expect("a full slab");
    let mates = blocks
        .iter()
        .filter(|mate| page_map.slab_at(mate.addr()) == page_map.slab_at(block.addr()));
    let mut mates: Vec<_> = mates.copied().collect();
    let far = (block.addr() & !(UNIT - 1)) ^ APART;
    assert!(page_map.prepare(&crate::os::Mmap, far, UNIT));
    loop {
        let next = mates.pop().expect("one of the frees moves the slab");
        // SAFETY: a live block of this thread, freed once.
        match unsafe { Drystone.free_fast(next) } {
            Fast::Done => continue,
            Fast::Moves => {
                page_map.set(far, UNIT, page_map.slab_at(other.addr()));
                // SAFETY: the last free of this thread was this block's.
                unsafe { Drystone.free_moves(next) };
                break;
            }
            Fast::Slow => panic!("the block is this thread's and live"),
        }
    }
    page_map.set(far, UNIT, ptr::null());
    assert_eq!(place(block), Place::Partial, "the slab with the free block was moved");
    let heap = ptr::with_exposed_provenance::<Heap>(tls::own());
    // SAFETY: the heap of this thread.
    unsafe { ENGINE.check(&*heap) }.unwrap();
}

/// All of a block that `calloc` promises is zero, however it came about, and nothing behind it
/// changes.
#[test]
fn every_size_is_cleared_to_its_end() {
    const ROOM: usize = 2048;
    let mut room = [0u8; ROOM];
    for size in 0..1024 {
        room.fill(0xA5);
        // SAFETY: the array is longer.
        unsafe { clear(room.as_mut_ptr(), size) };
        assert!(room[..size].iter().all(|&byte| byte == 0), "{size} bytes");
        let end = size.max(1).next_multiple_of(16);
        assert!(room[end..].iter().all(|&byte| byte == 0xA5), "behind {size} bytes");
    }
}

/// It was taken for 16 where it was below, and else not looked at where the block could stay.
#[test]
fn realloc_rejects_an_alignment_that_is_none() {
    let block = Drystone.malloc(100);
    for align in [0, 3, 24, 48] {
        for size in [0, 100, 5000, 2 << 20] {
            // SAFETY: the block is live, and is as it was when the call gives null.
            let resized = unsafe { Drystone.try_realloc_aligned(block, size, align) };
            assert_eq!(resized, Ok(ptr::null_mut()), "{size} bytes at {align}");
        }
    }
    // SAFETY: the block is live still.
    unsafe { Drystone.try_free(block) }.unwrap();
}
