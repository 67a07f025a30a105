//! `rejected-free/allocator/pointer`: what it costs that a free is rejected.

use criterion::Criterion;

use crate::allocators::Allocator;
use crate::groups::case::{Case, measure};
use drystone_workloads::heap::Heap;

/// A pointer that is not live.
#[derive(Clone, Copy)]
struct Pointer {
    name: &'static str,
    of: fn(Heap) -> (*mut u8, Option<*mut u8>),
}

/// Bytes of the block that a pointer has to do with.
const SIZE: usize = 64;

/// One that was freed, one into a live block, one to a block of nobody's.
const POINTERS: [Pointer; 3] = [
    Pointer { name: "double", of: freed },
    Pointer { name: "interior", of: interior },
    Pointer { name: "foreign", of: foreign },
];

/// One iteration is a free of a pointer that is not live, which must be rejected: 1 operation. Only
/// for those that promise it: elsewhere it is undefined.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("rejected-free");
    for pointer in POINTERS {
        for allocator in allocators {
            let Some(rejects) = allocator.rejects else { continue };
            let case = Case { allocator, parameter: pointer.name, operations: 1 };
            measure(
                &mut group,
                case,
                |heap| Prepared::new(heap, pointer),
                |bencher, prepared| {
                    bencher.iter(|| assert!(rejects(prepared.pointer), "the free took effect"));
                },
            );
        }
    }
    group.finish();
}

/// A pointer, and the block that lives as long as it is measured.
struct Prepared {
    heap: Heap,
    pointer: *mut u8,
    live: Option<*mut u8>,
}

impl Prepared {
    fn new(heap: Heap, pointer: Pointer) -> Self {
        let (pointer, live) = (pointer.of)(heap);
        Self { heap, pointer, live }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(live) = self.live {
            // SAFETY: the block is live, as all frees of its inside were rejected, and gone now.
            unsafe { self.heap.free(live) };
        }
    }
}

fn freed(heap: Heap) -> (*mut u8, Option<*mut u8>) {
    // SAFETY: the size is not 0; the blocks are live, and freed once, one here and one when the
    // other's pointer has been measured. That keeps the freed one's surroundings in use.
    unsafe {
        let (block, live) = (heap.malloc(SIZE), heap.malloc(SIZE));
        heap.free(block);
        (block, Some(live))
    }
}

fn interior(heap: Heap) -> (*mut u8, Option<*mut u8>) {
    // SAFETY: the size is more than a half of it, which lies in the block.
    unsafe {
        let live = heap.malloc(SIZE);
        (live.add(SIZE / 2), Some(live))
    }
}

fn foreign(_: Heap) -> (*mut u8, Option<*mut u8>) {
    static NOBODYS: [u64; 8] = [0; 8];
    (NOBODYS.as_ptr().cast_mut().cast(), None)
}
