//! `pair/allocator/bytes`: the least that an allocator can be asked for.

use criterion::Criterion;

use crate::allocators::Allocator;
use crate::groups::case::group_of_calls;

/// From the smallest class to what most allocators map for itself.
const SIZES: [usize; 9] = [8, 16, 64, 256, 1 << 10, 8 << 10, 64 << 10, 1 << 20, 4 << 20];

/// One iteration is malloc, a write to the first byte, and free of the same block: 2 operations.
///
/// The block is the same one every time, at the allocator's hand and in the cache: this is the
/// length of the shortest way through the code, and says little about programs.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    group_of_calls(
        criterion,
        "pair",
        allocators,
        &SIZES,
        |_| 2,
        |heap, size| {
            // SAFETY: the size is not 0; the block is live, and not used after its free.
            unsafe { heap.free(heap.malloc(size)) }
        },
    );
}
