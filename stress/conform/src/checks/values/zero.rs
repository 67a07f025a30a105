//! Requests for nothing, and of nothing.

use crate::checks::sizes::SIZES;
use crate::child::block::Block;
use crate::child::functions::Way;
use crate::child::heap::Heap;
use crate::outcome::{Checked, Wrong, expect};
use crate::row::{Check, Row};

const C23: &str = "C23 7.24.3";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "zero/malloc",
        about: "malloc(0) is null or a pointer of its own that can be freed",
        source: "C23 7.24.3; POSIX.1-2024 malloc",
        check: Check::Judged(|heap| of_its_own(heap, Way::Malloc)),
    },
    Row {
        name: "zero/calloc",
        about: "calloc(0, n) and calloc(n, 0) are null or pointers of their own that can be freed",
        source: C23,
        check: Check::Judged(calloc),
    },
    Row {
        name: "zero/realloc-null",
        about: "realloc(NULL, 0) behaves as malloc(0)",
        source: "C23 7.24.3.7",
        check: Check::Judged(|heap| of_its_own(heap, Way::Realloc)),
    },
    Row {
        name: "zero/aligned_alloc",
        about: "aligned_alloc(64, 0) is null or a pointer of its own that can be freed",
        source: C23,
        check: Check::Judged(|heap| of_its_own(heap, Way::AlignedAlloc(64))),
    },
    Row {
        name: "zero/posix_memalign",
        about: "posix_memalign of 0 bytes gives null or a pointer of its own that can be freed",
        source: "POSIX.1-2024 posix_memalign",
        check: Check::Judged(|heap| of_its_own(heap, Way::PosixMemalign(64))),
    },
    Row {
        name: "zero/memalign",
        about: "memalign(64, 0), valloc(0) and pvalloc(0) are null or pointers of their own",
        source: "posix_memalign(3)",
        check: Check::Judged(old_ways),
    },
    Row {
        name: "zero/free-null",
        about: "free(NULL) does nothing",
        source: "C23 7.24.3.3",
        check: Check::Judged(free_null),
    },
    Row {
        name: "zero/realloc-as-malloc",
        about: "realloc(NULL, n) behaves as malloc(n)",
        source: "C23 7.24.3.7",
        check: Check::Judged(realloc_as_malloc),
    },
    Row {
        name: "zero/grows",
        about: "a block of 0 bytes can be resized to hold some",
        source: "C23 7.24.3.7",
        check: Check::Judged(grows),
    },
    Row {
        name: "zero/malloc-returns",
        about: "what malloc(0) returns",
        source: C23,
        check: Check::Recorded(|heap| Ok(what(heap.try_malloc(0)))),
    },
    Row {
        name: "zero/realloc-to-zero",
        about: "what realloc(p, 0) does",
        source: "C23 7.24.3.7: undefined",
        check: Check::Recorded(realloc_to_zero),
    },
    Row {
        name: "zero/usable-size",
        about: "the usable size of a block of 0 bytes",
        source: "malloc_usable_size(3)",
        check: Check::Recorded(usable),
    },
];

/// Several live at once are apart, and none is a block's that is in use.
fn of_its_own(heap: &'static Heap, way: Way) -> Checked {
    let mut blocks = Vec::new();
    for _ in 0..64 {
        blocks.extend(heap.request(way, 0)?);
        blocks.push(heap.malloc(24)?);
    }
    apart(&blocks)?;
    blocks.into_iter().for_each(Block::free);
    Ok(())
}

fn apart(blocks: &[Block]) -> Checked {
    let mut places: Vec<usize> = blocks.iter().map(Block::address).collect();
    places.sort_unstable();
    let twice = places.windows(2).find(|pair| pair[0] == pair[1]);
    expect(
        twice.is_none(),
        || "a pointer of its own for each request".to_owned(),
        || format!("{:#x} twice", twice.map_or(0, |pair| pair[0])),
    )
}

fn calloc(heap: &'static Heap) -> Checked {
    let mut blocks = Vec::new();
    for _ in 0..64 {
        blocks.extend(heap.calloc(0, 16));
        blocks.extend(heap.calloc(16, 0));
        blocks.extend(heap.calloc(0, usize::MAX));
        blocks.extend(heap.calloc(usize::MAX, 0));
        blocks.extend(heap.calloc(0, 0));
    }
    apart(&blocks)?;
    blocks.into_iter().for_each(Block::free);
    Ok(())
}

fn old_ways(heap: &'static Heap) -> Checked {
    for way in [Way::Memalign(64), Way::Valloc, Way::Pvalloc] {
        of_its_own(heap, way)?;
    }
    Ok(())
}

fn free_null(heap: &'static Heap) -> Checked {
    for _ in 0..1000 {
        heap.free_null();
    }
    let mut block = heap.malloc(100)?;
    block.fill(1);
    heap.free_null();
    block.holds(1)?;
    block.free();
    Ok(())
}

fn realloc_as_malloc(heap: &'static Heap) -> Checked {
    let mut blocks = Vec::new();
    for (seed, size) in SIZES.into_iter().enumerate() {
        let mut block = heap.get(Way::Realloc, size)?;
        block.fill(seed as u64);
        blocks.push(block);
    }
    for (seed, block) in blocks.into_iter().enumerate() {
        block.holds(seed as u64)?;
        block.free();
    }
    Ok(())
}

fn grows(heap: &'static Heap) -> Checked {
    for size in SIZES {
        let Some(block) = heap.try_malloc(0) else {
            return Err(Wrong::LeftOpen("malloc(0) is null".to_owned()));
        };
        let mut block = block.resized(size)?;
        block.fill(1);
        block.holds(1)?;
        block.free();
    }
    Ok(())
}

fn what(block: Option<Block>) -> String {
    match block {
        Some(_) => "a pointer".to_owned(),
        None => "null".to_owned(),
    }
}

fn realloc_to_zero(heap: &'static Heap) -> Result<String, Wrong> {
    let block = heap.malloc(100)?;
    let at = block.address();
    Ok(match block.realloc(0) {
        Ok(block) if block.address() == at => "the same pointer".to_owned(),
        Ok(_) => "another pointer".to_owned(),
        // Freed or not: a further free of it may be a double free.
        Err(_) => "null".to_owned(),
    })
}

fn usable(heap: &'static Heap) -> Result<String, Wrong> {
    match heap.try_malloc(0) {
        Some(block) => Ok(format!("{} B", block.usable_size()?)),
        None => Ok("malloc(0) is null".to_owned()),
    }
}
