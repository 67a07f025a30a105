//! The production allocator through `Drystone`: what programs see of it.

use std::collections::HashSet;
use std::thread;

use drystone::{BlockState, Drystone, Found, Misuse, MisuseKind};

/// Frees a live block.
fn free(block: *mut u8) {
    // SAFETY: the tests free blocks that they own.
    unsafe { Drystone.try_free(block) }.unwrap();
}

/// Frees what is not live.
fn rejected(block: *mut u8) -> Misuse {
    // SAFETY: a pointer that is not live is rejected, whatever it is.
    unsafe { Drystone.try_free(block) }.unwrap_err()
}

fn fill(block: *mut u8, size: usize, byte: u8) {
    // SAFETY: blocks of at least `size` bytes that the test owns.
    unsafe { block.write_bytes(byte, size) }
}

#[test]
fn blocks_are_aligned_apart_and_hold_what_was_asked_for() {
    let mut blocks = Vec::new();
    let mut seen = HashSet::new();
    for size in
        (0..2000).chain([4095, 4096, 4097, 32768, 32769, 65536, 1 << 20, (1 << 20) + 1, 5 << 20])
    {
        let block = Drystone.malloc(size);
        assert!(!block.is_null() && block.addr().is_multiple_of(16), "{size}");
        assert!(seen.insert(block.addr()));
        assert!(Drystone.usable_size(block).unwrap() >= size);
        fill(block, size, size as u8);
        blocks.push((block, size));
    }
    for (block, size) in blocks {
        // SAFETY: live, and that long.
        let bytes = unsafe { std::slice::from_raw_parts(block, size) };
        assert!(bytes.iter().all(|&byte| byte == size as u8), "{size}");
        free(block);
    }
    Drystone.check().unwrap();
}

#[test]
fn every_second_free_is_rejected_at_every_size() {
    for size in [1, 16, 100, 1000, 4096, 8192, 32768, 40000, 65536, 1 << 20, (1 << 20) + 1, 4 << 20]
    {
        let block = Drystone.malloc(size);
        let other = Drystone.malloc(size);
        free(block);
        let misuse = rejected(block);
        assert_eq!((misuse.kind, misuse.found), (MisuseKind::DoubleFree, Found::AtCall), "{size}");
        free(other);
        assert_eq!(rejected(block).kind, MisuseKind::DoubleFree, "{size}");
        assert_eq!(rejected(other).kind, MisuseKind::DoubleFree, "{size}");
    }
    Drystone.check().unwrap();
}

#[test]
fn what_is_not_a_block_is_rejected_as_what_it_is() {
    for size in [16, 100, 1000, 8192, 65536, 3 << 20] {
        let block = Drystone.malloc(size);
        let usable = Drystone.usable_size(block).unwrap();
        // SAFETY: inside the block.
        let (inside, odd) = unsafe { (block.add(16.min(usable - 8)), block.add(1)) };
        assert_eq!(rejected(odd).kind, MisuseKind::UnalignedPointer, "{size}");
        if usable > 16 {
            let misuse = rejected(inside);
            assert_eq!(
                (misuse.kind, misuse.state),
                (MisuseKind::InteriorPointer, BlockState::Live),
                "{size}"
            );
            assert_eq!(misuse.size, Some(usable));
        }
        free(block);
    }
    let mut local = 0u64;
    static STATIC: u64 = 7;
    let wild = [
        (&raw mut local).cast::<u8>(),
        (&raw const STATIC).cast::<u8>().cast_mut(),
        std::ptr::without_provenance_mut(16),
        std::ptr::without_provenance_mut(0xdead_beef_0000),
        std::ptr::without_provenance_mut(usize::MAX & !15),
        std::ptr::without_provenance_mut(0x8000_0000_0000),
    ];
    for pointer in wild {
        assert_eq!(rejected(pointer).kind, MisuseKind::ForeignPointer, "{pointer:?}");
    }
    let live = Drystone.malloc(64);
    // An address that differs from a live block's only where no address can.
    assert_eq!(rejected(live.wrapping_add(1 << 50)).kind, MisuseKind::ForeignPointer);
    free(live);
    // SAFETY: null is fine.
    unsafe { Drystone.try_free(std::ptr::null_mut()) }.unwrap();
}

#[test]
fn others_free_and_the_owner_gets_the_blocks_back() {
    for size in [48, 5000, 200_000] {
        let rounds = if size < 1000 { 4000 } else { 40 };
        let blocks: Vec<usize> =
            (0..rounds).map(|_| Drystone.malloc(size).expose_provenance()).collect();
        let copy = blocks.clone();
        thread::spawn(move || {
            for address in copy {
                free(std::ptr::with_exposed_provenance_mut(address));
            }
        })
        .join()
        .unwrap();
        for &address in &blocks {
            assert_eq!(
                rejected(std::ptr::with_exposed_provenance_mut(address)).kind,
                MisuseKind::DoubleFree
            );
        }
        let first: HashSet<usize> = blocks.iter().copied().collect();
        let again: Vec<*mut u8> = (0..rounds).map(|_| Drystone.malloc(size)).collect();
        let reused = again.iter().filter(|block| first.contains(&block.addr())).count();
        assert!(reused * 2 > rounds, "{reused} of {rounds} blocks of {size} bytes came back");
        again.into_iter().for_each(free);
    }
    Drystone.check().unwrap();
}

#[test]
fn resizing_keeps_the_contents() {
    let mut block = Drystone.malloc(1);
    fill(block, 1, 1);
    let mut size = 1;
    for step in 0..60 {
        let next = size + size / 3 + 1 + step;
        // SAFETY: live, and given up for what comes back.
        block = unsafe { Drystone.try_realloc(block, next) }.unwrap();
        assert!(!block.is_null());
        // SAFETY: live, and at least that long.
        let bytes = unsafe { std::slice::from_raw_parts(block, size) };
        assert!(
            bytes.iter().enumerate().all(|(index, &byte)| byte == (index % 251 + 1) as u8),
            "{size}"
        );
        for index in 0..next {
            // SAFETY: live, and at least `next` bytes long.
            unsafe { block.add(index).write((index % 251 + 1) as u8) };
        }
        size = next;
        if size > 40 << 20 {
            break;
        }
    }
    while size > 1 {
        let next = size / 2;
        // SAFETY: live, not used again except by its new address.
        block = unsafe { Drystone.try_realloc(block, next) }.unwrap();
        // SAFETY: live, and at least `next` bytes long.
        let bytes = unsafe { std::slice::from_raw_parts(block, next) };
        assert!(
            bytes.iter().enumerate().all(|(index, &byte)| byte == (index % 251 + 1) as u8),
            "{size}"
        );
        size = next;
    }
    free(block);
    Drystone.check().unwrap();
}

#[test]
fn zeroed_blocks_are_zero_after_dirty_use() {
    for size in [1, 24, 500, 4096, 70_000, 1 << 20, 3 << 20] {
        for _ in 0..4 {
            let block = Drystone.malloc(size);
            fill(block, size, 0xA5);
            let zero = Drystone.calloc(size, 1);
            // SAFETY: live, and that long.
            let bytes = unsafe { std::slice::from_raw_parts(zero, size) };
            assert!(bytes.iter().all(|&byte| byte == 0));
            fill(zero, size, 0x5A);
            free(block);
            free(zero);
        }
    }
    assert!(Drystone.calloc(usize::MAX / 2, 3).is_null());
    assert!(Drystone.malloc(usize::MAX).is_null());
    assert!(Drystone.malloc(isize::MAX as usize + 1).is_null());
    assert!(Drystone.malloc(isize::MAX as usize).is_null());
}

#[test]
fn alignments_are_kept() {
    for power in 0..=21 {
        let align = 1usize << power;
        for size in [0, 1, 17, 100, 5000, 70_000, 2 << 20] {
            let block = Drystone.malloc_aligned(size, align);
            assert!(!block.is_null() && block.addr().is_multiple_of(align), "{size} at {align}");
            fill(block, size, 1);
            // SAFETY: live, and given up for what comes back.
            let grown =
                unsafe { Drystone.try_realloc_aligned(block, size * 2 + 1, align) }.unwrap();
            assert!(!grown.is_null() && grown.addr().is_multiple_of(align));
            free(grown);
        }
    }
    assert!(Drystone.malloc_aligned(8, 3).is_null());
    assert!(Drystone.malloc_aligned(8, 0).is_null());
}

#[test]
fn threads_come_and_go_and_memory_stays() {
    let run = || {
        thread::spawn(|| {
            let blocks: Vec<*mut u8> = (1..200).map(|size| Drystone.malloc(size * 20)).collect();
            blocks.into_iter().for_each(free);
        })
        .join()
        .unwrap();
    };
    (0..100).for_each(|_| run());
    let before = Drystone.engine().layer_stats();
    (0..2000).for_each(|_| run());
    let after = Drystone.engine().layer_stats();
    assert!(after.span_bytes <= before.span_bytes + (8 << 20), "{before:?} {after:?}");
    assert!(after.header_bytes <= before.header_bytes + (1 << 20), "{before:?} {after:?}");
}

#[test]
fn what_exited_threads_left_is_used_by_those_who_stay() {
    let blocks: Vec<usize> =
        thread::spawn(|| (0..50_000).map(|_| Drystone.malloc(112).expose_provenance()).collect())
            .join()
            .unwrap();
    for address in blocks {
        free(std::ptr::with_exposed_provenance_mut(address));
    }
    let before = Drystone.engine().layer_stats();
    let again: Vec<*mut u8> = (0..50_000).map(|_| Drystone.malloc(112)).collect();
    let after = Drystone.engine().layer_stats();
    assert!(after.span_bytes <= before.span_bytes + (6 << 20), "{before:?} {after:?}");
    again.into_iter().for_each(free);
    Drystone.check().unwrap();
}
