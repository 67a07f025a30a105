//! `resize/allocator/way`: one realloc of each kind, where `realloc` has a buffer's whole growth.

use std::fmt::{self, Display, Formatter};

use criterion::Criterion;

use crate::allocators::Allocator;
use crate::groups::case::group_of_calls;
use drystone_workloads::heap::{Heap, MARK};

/// A way in which a block changes its size.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    /// Bytes, first and then.
    from: usize,
    to: usize,
    /// Whether a second block keeps the first from growing where it is.
    neighbour: bool,
}

impl Display for Way {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Within what any size class holds; to a class far away, so that the bytes must be copied; and
/// between sizes of which most allocators map each block for itself.
const WAYS: [Way; 3] = [
    Way { name: "in-place", from: 1000, to: 1008, neighbour: false },
    Way { name: "moved", from: 1000, to: 16_000, neighbour: true },
    Way { name: "mapped", from: 4 << 20, to: 8 << 20, neighbour: false },
];

/// One iteration is malloc, realloc and free: 3 operations. In `moved` a second block, allocated
/// right after the first and freed before it, keeps the first from growing in place: 5 operations.
/// The first and the last of the old bytes are looked at after the realloc.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let operations = |way: Way| if way.neighbour { 5 } else { 3 };
    group_of_calls(criterion, "resize", allocators, &WAYS, operations, once);
}

fn once(heap: Heap, way: Way) {
    // SAFETY: sizes are at least 1; what is read and written lies in both sizes; each block is
    // freed once, and realloc ends the one it is given.
    unsafe {
        let block = heap.malloc(way.from);
        let beside = way.neighbour.then(|| heap.malloc(way.from));
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
