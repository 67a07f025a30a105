//! `resize/subject/way`: one realloc of each kind, where `realloc` has a buffer's whole growth.

use criterion::Criterion;

use crate::groups::case::{Case, measure};
use crate::subjects::Subject;
use drystone_workloads::heap::{Heap, MARK};

/// A way in which a block changes its size.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    /// Bytes, first and then.
    from: usize,
    to: usize,
}

/// Within what any size class holds; to a class far away, so that the bytes must be copied; and
/// between sizes of which most allocators map each block for itself.
const WAYS: [Way; 3] = [
    Way { name: "in-place", from: 1000, to: 1008 },
    Way { name: "moved", from: 1000, to: 16_000 },
    Way { name: "mapped", from: 4 << 20, to: 8 << 20 },
];

/// One iteration is malloc, realloc and free: 3 operations. What stood in the last of the old bytes
/// is looked for after the realloc. A second block, allocated right after the first and freed right
/// before the end, keeps the first from growing where it is, except in the way that has room: 5
/// operations where it is there.
pub fn bench(criterion: &mut Criterion, subjects: &[Subject]) {
    let mut group = criterion.benchmark_group("resize");
    for way in WAYS {
        let neighbour = way.name == "moved";
        for subject in subjects {
            let operations = if neighbour { 5 } else { 3 };
            let case = Case { subject, parameter: way.name, operations };
            measure(
                &mut group,
                case,
                |heap| heap,
                |bencher, heap| {
                    let heap = *heap;
                    bencher.iter(|| once(heap, way, neighbour));
                },
            );
        }
    }
    group.finish();
}

fn once(heap: Heap, way: Way, neighbour: bool) {
    // SAFETY: sizes are at least 1; what is read and written lies in both sizes; each block is
    // freed once, and realloc ends the one it is given.
    unsafe {
        let block = heap.malloc(way.from);
        let beside = neighbour.then(|| heap.malloc(way.from));
        block.add(way.from - 1).write(MARK);
        let block = heap.realloc_untouched(block, way.to);
        let kept = block.read() == MARK && block.add(way.from - 1).read() == MARK;
        assert!(kept, "realloc lost what was written");
        if let Some(beside) = beside {
            heap.free(beside);
        }
        heap.free(block);
    }
}
