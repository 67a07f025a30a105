//! `realloc/allocator/bytes`: a buffer that grows.

use criterion::Criterion;

use crate::allocators::Allocator;
use crate::groups::case::group_of_calls;
use drystone_workloads::heap::{Heap, MARK};

/// Where growth begins, in bytes.
const FIRST: usize = 16;

/// Where it ends, in bytes: a string, and a file read into memory.
const LAST: [usize; 2] = [1 << 10, 16 << 20];

/// The unit in which the OS maps memory, in bytes.
const PAGE: usize = 4096;

/// One iteration is a malloc of 16 bytes, reallocs to twice the size until it is the parameter, and
/// free: 8 operations to 1 KiB, 22 to 16 MiB.
///
/// One byte is written to each page (4 KiB) that a realloc added, so an allocator that returns
/// memory to the OS pays for getting it back, and one that copies pays for copying. One buffer
/// grows alone, which is the best case for growing in place.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    // A malloc, a realloc for each doubling, and a free.
    let operations = |last: usize| (last / FIRST).ilog2() as usize + 2;
    group_of_calls(criterion, "realloc", allocators, &LAST, operations, grow);
}

/// Doubles a buffer until it is of `last` bytes, and frees it.
fn grow(heap: Heap, last: usize) {
    let mut size = FIRST;
    // SAFETY: sizes are at least 1; each realloc takes the live block that the call before it
    // returned; what is read and written lies in the block, which is not used after its free.
    unsafe {
        let mut block = heap.malloc(size);
        while size < last {
            block = heap.realloc(block, 2 * size);
            touch_pages(block, size, 2 * size);
            size *= 2;
        }
        assert_eq!(block.add(FIRST).read(), MARK, "realloc lost what was written");
        heap.free(block);
    }
}

/// Writes one byte to each page's worth of `block[old..new]`.
///
/// # Safety
///
/// `block` is live and of `new` bytes.
unsafe fn touch_pages(block: *mut u8, old: usize, new: usize) {
    for at in (old..new).step_by(PAGE) {
        // SAFETY: below `new`.
        unsafe { block.add(at).write(MARK) };
    }
}
