//! Headers that somebody overwrote, forged or put back: none is believed.

use std::ptr;

use drystone::{BlockState, Found, ListHeap, Misuse, MisuseKind};

use super::support::{HEADER, free, rejected};

#[test]
fn a_forged_header_is_not_believed() {
    let heap = ListHeap::new();
    let (victim, forger, fence) = (heap.malloc(64), heap.malloc(64), heap.malloc(1));
    // SAFETY: reads a header of the heap, and writes within a live block of 64 bytes.
    unsafe { ptr::copy_nonoverlapping(victim.sub(HEADER), forger, HEADER) };
    assert_eq!(rejected(&heap, forger.wrapping_add(HEADER)).kind, MisuseKind::InteriorPointer);
    for block in [victim, forger, fence] {
        free(&heap, block);
    }
}

#[test]
fn an_overflow_into_a_header_is_reported_and_the_heap_goes_on() {
    let heap = ListHeap::new();
    let (a, b, c) = (heap.malloc(64), heap.malloc(64), heap.malloc(64));
    // SAFETY: not sound for a program: 8 bytes past a's end, into b's header. They are mapped.
    unsafe { a.add(64).cast::<u64>().write(0x4141_4141_4141_4141) };
    // SAFETY: b's header can't be believed: an error, and nothing is touched.
    let misuse = unsafe { heap.try_free(b) }.unwrap_err();
    assert_eq!((misuse.kind, misuse.found), (MisuseKind::CorruptHeader, Found::AtCall));
    // SAFETY: live. Its neighbour is noticed when the two would merge.
    unsafe { heap.try_free(a) }.unwrap();
    // SAFETY: live.
    unsafe { heap.try_free(c) }.unwrap();
    let mut reported = Vec::new();
    assert!(heap.sweep(|misuse| reported.push(*misuse)) >= 1);
    assert_eq!(
        reported[0],
        Misuse {
            kind: MisuseKind::CorruptHeader,
            address: b as usize,
            size: None,
            state: BlockState::Unknown,
            found: Found::Late,
        }
    );
    assert_eq!(heap.sweep(|_| ()), 0, "reported once");
    assert_eq!(heap.check().unwrap_err().invariant, "a header bears its check value");
    for _ in 0..1000 {
        assert!(!heap.malloc(64).is_null());
    }
}

#[test]
fn a_write_into_a_free_block_is_reported_and_never_followed() {
    let heap = ListHeap::new();
    let blocks: Vec<_> = (0..6).map(|_| (heap.malloc(64), heap.malloc(1)).0).collect();
    for &block in &blocks {
        free(&heap, block);
    }
    // SAFETY: not sound for a program: a write after free, over the links. The bytes are mapped.
    unsafe { blocks[5].cast::<usize>().write(0xDEAD_BEE0) };
    let mut allocated = std::collections::BTreeSet::new();
    for _ in 0..100 {
        assert!(allocated.insert(heap.malloc(64)), "a block was allocated twice");
    }
    let mut reported = Vec::new();
    heap.sweep(|misuse| reported.push((misuse.kind, misuse.address)));
    assert_eq!(reported, [(MisuseKind::CorruptHeader, blocks[5] as usize)]);
}

#[test]
fn no_constant_in_a_block_is_taken_for_a_header() {
    let heap = ListHeap::new();
    let block = heap.malloc(1000);
    for status in [*b"LIVE", *b"FREE", *b"FRSH", *b"WIPE", *b"END "] {
        for [size, before] in [[0, 0], [0xA076_1D64, 0x78BD_642F], [0xE703_7ED1, 0xA0B4_28DB]] {
            let header = [size, before, u32::from_be_bytes(status), 0];
            // SAFETY: within the live block of 1,000 bytes.
            unsafe {
                block.write_bytes(0, 1000);
                block.add(16).cast::<[u32; 4]>().write(header);
            }
            assert_eq!(rejected(&heap, block.wrapping_add(32)).kind, MisuseKind::InteriorPointer);
        }
    }
    free(&heap, block);
}

#[test]
fn an_overflow_over_a_regions_end_is_survived() {
    for status in [*b"FREE", *b"FRSH", *b"LIVE", *b"WIPE"] {
        // One region, and nothing mapped behind it on purpose; its last block is live.
        let heap = ListHeap::new().with_limit(256 << 10);
        let first = heap.malloc(100);
        let last = heap.malloc(heap.stats().largest_free);
        let usable = heap.usable_size(last).unwrap();
        // SAFETY: not sound for a program: 16 bytes past the last block, over END. They are mapped.
        unsafe {
            let end = last.add(usable).cast::<[u32; 4]>();
            end.write([64, 64, u32::from_be_bytes(status), 0x1234]);
        }
        assert!(heap.check().is_err());
        // SAFETY: live.
        unsafe { heap.try_free(last) }.unwrap();
        assert_eq!(heap.sweep(|misuse| assert_eq!(misuse.kind, MisuseKind::CorruptHeader)), 1);
        // SAFETY: not a live block: nothing is asked.
        assert!(unsafe { heap.try_free(last) }.is_err());
        // SAFETY: live.
        unsafe { heap.try_free(first) }.unwrap();
    }
}

#[test]
fn a_wiped_header_in_a_live_ones_place_ends_a_walk() {
    let heap = ListHeap::new();
    let (a, b, live) = (heap.malloc(64), heap.malloc(64), heap.malloc(64));
    free(&heap, a);
    free(&heap, b);
    let header = b.wrapping_sub(HEADER).cast::<[u64; 2]>();
    // SAFETY: b's header was wiped when it was merged; its bytes are mapped.
    let wiped = unsafe { header.read() };
    assert_eq!((heap.malloc(64), heap.malloc(64)), (a, b));
    // SAFETY: not sound for a program: an overflow that puts back what was there before.
    unsafe { header.write(wiped) };
    // SAFETY: not a live block: nothing is asked.
    let misuse = unsafe { heap.try_free(live.wrapping_add(16)) }.unwrap_err();
    assert_eq!(misuse.kind, MisuseKind::CorruptHeader);
}

#[test]
fn a_double_free_is_one_whatever_else_is_corrupt() {
    let heap = ListHeap::new();
    let (a, b, c, d) = (heap.malloc(64), heap.malloc(64), heap.malloc(64), heap.malloc(64));
    free(&heap, c);
    // SAFETY: not sound for a program: 8 bytes past a's end, into b's header. They are mapped.
    unsafe { a.add(64).cast::<u64>().write(u64::MAX) };
    // SAFETY: not a live block: nothing is asked.
    let misuse = unsafe { heap.try_free(c) }.unwrap_err();
    assert_eq!(misuse.kind, MisuseKind::DoubleFree);
    // SAFETY: live. The corrupt neighbour is reported once.
    unsafe { heap.try_free(a) }.unwrap();
    let mut reported = Vec::new();
    heap.sweep(|misuse| reported.push(misuse.address));
    assert_eq!(reported, [b as usize]);
    // SAFETY: live.
    unsafe { heap.try_free(d) }.unwrap();
}
