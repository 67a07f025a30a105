//! `calloc/subject/bytes`: zeroed blocks.

use criterion::Criterion;

use super::case::{Case, measure};
use crate::subjects::Subject;

const SIZES: [usize; 2] = [64, 64 << 10];

/// One iteration is calloc, a look at the first byte, a write to it, and free of the same block: 2
/// operations.
///
/// The block is reused, so its zeroing is part of the figure: only memory fresh from the OS is
/// zero.
pub fn bench(criterion: &mut Criterion, subjects: &[Subject]) {
    let mut group = criterion.benchmark_group("calloc");
    for size in SIZES {
        for subject in subjects {
            let case = Case { subject, parameter: size, operations: 2 };
            measure(
                &mut group,
                case,
                |heap| heap,
                |bencher, heap| {
                    let heap = *heap;
                    bencher.iter(|| {
                        // SAFETY: the size is not 0; the block is live, and not used after its
                        // free.
                        unsafe { heap.free(heap.calloc(size)) }
                    });
                },
            );
        }
    }
    group.finish();
}
