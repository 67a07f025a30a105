//! Pointers that are not live blocks: each is rejected, named for what it is, and changes nothing.

use drystone::{BlockState, ListHeap, MisuseKind};

use super::support::{HEADER, fill, free, rejected};

fn double_free(heap: &ListHeap, block: *mut u8, size: Option<usize>, state: BlockState) {
    let misuse = rejected(heap, block);
    assert_eq!((misuse.kind, misuse.size, misuse.state), (MisuseKind::DoubleFree, size, state));
    // SAFETY: not a live block: nothing is asked.
    assert_eq!(unsafe { heap.try_realloc(block, 10) }.unwrap_err().kind, MisuseKind::DoubleFree);
    assert_eq!(heap.usable_size(block).unwrap_err().kind, MisuseKind::DoubleFree);
}

#[test]
fn an_immediate_and_an_interleaved_double_free_are_reported() {
    let heap = ListHeap::new();
    let (a, b, fence) = (heap.malloc(100), heap.malloc(200), heap.malloc(1));
    free(&heap, a);
    double_free(&heap, a, Some(112), BlockState::Free);
    let (c, d) = (heap.malloc(50), heap.malloc(60));
    free(&heap, c);
    free(&heap, d);
    double_free(&heap, c, Some(112), BlockState::Free);
    free(&heap, b);
    free(&heap, fence);
}

#[test]
fn a_double_free_after_coalescing_is_reported() {
    let heap = ListHeap::new();
    let blocks: Vec<_> = (0..4).map(|_| heap.malloc(100)).collect();
    let fence = heap.malloc(1);
    for &block in &blocks {
        free(&heap, block);
    }
    for &block in &blocks {
        double_free(&heap, block, Some(4 * 128 - HEADER), BlockState::Free);
    }
    free(&heap, fence);
}

#[test]
fn a_double_free_after_the_region_went_back_is_reported() {
    let heap = ListHeap::new();
    let blocks: Vec<_> = (0..100).map(|_| heap.malloc(100_000)).collect();
    for &block in &blocks {
        free(&heap, block);
    }
    heap.trim();
    assert_eq!(heap.stats().regions, 0);
    for &block in &blocks {
        double_free(&heap, block, None, BlockState::Returned);
    }
}

#[test]
fn a_double_free_of_a_huge_block_is_reported() {
    let heap = ListHeap::new();
    let block = heap.malloc(5 << 20);
    free(&heap, block);
    double_free(&heap, block, Some(5 << 20), BlockState::Returned);
    let interior = block.wrapping_add(4096);
    assert_eq!(rejected(&heap, interior).kind, MisuseKind::InteriorPointer);
}

#[test]
fn a_double_free_from_another_thread_is_reported() {
    static HEAP: ListHeap = ListHeap::new();
    let block = HEAP.malloc(100) as usize;
    free(&HEAP, block as *mut u8);
    std::thread::spawn(move || {
        double_free(&HEAP, block as *mut u8, Some(HEAP.stats().largest_free), BlockState::Free)
    })
    .join()
    .unwrap();
}

#[test]
fn interior_and_unaligned_pointers_are_reported() {
    let heap = ListHeap::new();
    let (small, fence, huge) = (heap.malloc(1000), heap.malloc(1), heap.malloc(1 << 20));
    fill(small, 1000, 0);
    for (block, size, bytes) in [(small, Some(1008), 1000), (huge, Some(1 << 20), 1 << 20)] {
        for offset in (1..bytes).step_by(37) {
            let misuse = rejected(&heap, block.wrapping_add(offset));
            let kind = if offset % 16 == 0 {
                MisuseKind::InteriorPointer
            } else {
                MisuseKind::UnalignedPointer
            };
            assert_eq!(
                (misuse.kind, misuse.size, misuse.state),
                (kind, size, BlockState::Live),
                "{offset}"
            );
        }
    }
    let header = small.wrapping_sub(HEADER);
    assert_eq!(rejected(&heap, header).kind, MisuseKind::InteriorPointer);
    free(&heap, small);
    let never_a_block = small.wrapping_add(320);
    let misuse = rejected(&heap, never_a_block);
    assert_eq!((misuse.kind, misuse.state), (MisuseKind::InteriorPointer, BlockState::Free));
    for block in [fence, huge] {
        free(&heap, block);
    }
}

#[test]
fn the_first_and_last_bytes_of_a_region_are_no_block() {
    let heap = ListHeap::new();
    let first = heap.malloc(1).wrapping_sub(HEADER);
    let end = first.wrapping_add(256 << 10);
    for offset in 1..64 {
        let kind = rejected(&heap, end.wrapping_sub(offset)).kind;
        let expected = if offset % 16 == 0 {
            MisuseKind::InteriorPointer
        } else {
            MisuseKind::UnalignedPointer
        };
        assert_eq!(kind, expected, "{offset} bytes before the end");
    }
    assert_eq!(rejected(&heap, first).kind, MisuseKind::InteriorPointer);
    assert_eq!(rejected(&heap, first.wrapping_add(1)).kind, MisuseKind::UnalignedPointer);
}

#[test]
fn pointers_that_are_not_ours_are_reported() {
    static STATIC: u64 = 1;
    let (heap, other) = (ListHeap::new(), ListHeap::new());
    let (ours, foreign_block) = (heap.malloc(1), other.malloc(1));
    let on_stack = 0u64;
    let boxed = Box::new(1u64);
    let foreign = [
        foreign_block,
        (&raw const on_stack) as *mut u8,
        (&raw const STATIC) as *mut u8,
        (&raw const *boxed) as *mut u8,
        16 as *mut u8,
        usize::MAX as *mut u8,
        heap.malloc(1).wrapping_add(1 << 40),
    ];
    for pointer in foreign {
        let misuse = rejected(&heap, pointer);
        assert_eq!((misuse.kind, misuse.state), (MisuseKind::ForeignPointer, BlockState::Unknown));
    }
    free(&heap, ours);
    free(&other, foreign_block);
}
