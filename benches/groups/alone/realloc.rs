//! `realloc/subject/bytes`: a buffer that grows.

use criterion::Criterion;
use drystone_workloads::patterns;

use crate::groups::case::{Case, measure};
use crate::subjects::Subject;
use drystone_workloads::heap::{Heap, MARK};

/// Where growth begins, in bytes.
const FIRST: usize = 16;

/// Where it ends, in bytes: a string, and a file read into memory.
const LAST: [usize; 2] = [1 << 10, 16 << 20];

/// What the OS hands out memory in, in bytes.
const PAGE: usize = 4096;

/// One iteration is a malloc of 16 bytes, reallocs to twice the size until it is the parameter, and
/// free: 8 operations to 1 KiB, 22 to 16 MiB.
///
/// One byte is written to each page (4 KiB) that a realloc added, so an allocator that returns
/// memory to the OS pays for getting it back, and one that copies pays for copying. One buffer
/// grows alone, which is the best case for growing in place.
pub fn bench(criterion: &mut Criterion, subjects: &[Subject]) {
    let mut group = criterion.benchmark_group("realloc");
    for last in LAST {
        let sizes = patterns::doubling(FIRST, last);
        for subject in subjects {
            let case = Case { subject, parameter: last, operations: sizes.len() + 1 };
            measure(
                &mut group,
                case,
                |heap| heap,
                |bencher, heap| {
                    let heap = *heap;
                    bencher.iter(|| grow(heap, &sizes));
                },
            );
        }
    }
    group.finish();
}

/// Takes a buffer through `sizes`, which ascend from at least 1, and frees it.
fn grow(heap: Heap, sizes: &[usize]) {
    // SAFETY: sizes are at least 1, and each realloc takes the live block that the call before it
    // returned.
    let block = unsafe {
        sizes.windows(2).fold(heap.malloc(sizes[0]), |block, step| {
            let block = heap.realloc(block, step[1]);
            touch_pages(block, step[0], step[1]);
            block
        })
    };
    // SAFETY: the block is live and at least as large as the first size; it is not used after its
    // free.
    unsafe {
        assert_eq!(block.add(sizes[0]).read(), MARK, "realloc lost what was written");
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
