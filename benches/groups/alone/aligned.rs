//! `aligned/allocator/alignment`: blocks at multiples of more than malloc's 16.

use criterion::Criterion;

use crate::allocators::Allocator;
use crate::groups::case::group_of_calls;
use drystone_workloads::heap::MARK;

/// A cache line, a page, and more: rpmalloc has nothing at multiples of 64 KiB.
const ALIGNMENTS: [usize; 3] = [64, 4096, 32 << 10];

/// One iteration is aligned_alloc of as many bytes as the alignment, a look at the address, a write
/// to the first byte, and free: 2 operations.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    group_of_calls(
        criterion,
        "aligned",
        allocators,
        &ALIGNMENTS,
        |_| 2,
        |heap, alignment| {
            // SAFETY: the alignment is a power of two; the block has as many bytes, is live, and is
            // not used after its free.
            unsafe {
                let block = heap.aligned_alloc(alignment, alignment);
                assert!(block.addr().is_multiple_of(alignment), "not aligned");
                block.write(MARK);
                heap.free(block);
            }
        },
    );
}
