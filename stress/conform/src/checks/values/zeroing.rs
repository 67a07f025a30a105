//! What `calloc` returns is zero, whatever the memory was.

use std::thread;

use crate::checks::sizes::SIZES;
use crate::child::block::Block;
use crate::child::heap::Heap;
use crate::outcome::{Checked, Wrong, fail};
use crate::row::{Check, Row};

const C23: &str = "C23 7.24.3.2";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "calloc/fresh",
        about: "blocks of every size are zero",
        source: C23,
        check: Check::Judged(fresh),
    },
    Row {
        name: "calloc/dirty-reuse",
        about: "memory that was written and freed is zero again, size by size",
        source: C23,
        check: Check::Judged(dirty_reuse),
    },
    Row {
        name: "calloc/dirty-other-size",
        about: "the same where the memory was a block of another size",
        source: C23,
        check: Check::Judged(dirty_other_size),
    },
    Row {
        name: "calloc/dirty-remainder",
        about: "what a shrinking realloc cut off is zero again",
        source: C23,
        check: Check::Judged(dirty_remainder),
    },
    Row {
        name: "calloc/dirty-by-another",
        about: "memory that another thread wrote and freed is zero again",
        source: C23,
        check: Check::Judged(dirty_by_another),
    },
    Row {
        name: "calloc/product",
        about: "a product of two factors is zeroed whole",
        source: C23,
        check: Check::Judged(product),
    },
];

fn zero(block: Option<Block>, size: usize) -> Result<Block, Wrong> {
    let Some(block) = block else { return fail(format!("{size} zeroed bytes"), "null") };
    match block.not_zero() {
        None => Ok(block),
        Some(at) => fail(format!("{size} zeroed bytes"), format!("another byte at offset {at}")),
    }
}

fn fresh(heap: &'static Heap) -> Checked {
    let mut blocks = Vec::new();
    for size in (1..300).chain(SIZES) {
        blocks.push(zero(heap.calloc(1, size), size)?);
    }
    blocks.into_iter().for_each(Block::free);
    Ok(())
}

/// Blocks of a size, all written to their usable ends, all freed.
fn dirty(heap: &'static Heap, size: usize, count: usize) -> Checked {
    let mut blocks = Vec::new();
    for _ in 0..count {
        let mut block = heap.malloc(size)?;
        let usable = block.usable_size().unwrap_or(size);
        block.fill_to(usable, 0xD1);
        blocks.push(block);
    }
    blocks.into_iter().for_each(Block::free);
    Ok(())
}

fn all_zero(heap: &'static Heap, size: usize, count: usize) -> Checked {
    let blocks: Result<Vec<Block>, Wrong> =
        (0..count).map(|_| zero(heap.calloc(1, size), size)).collect();
    blocks?.into_iter().for_each(Block::free);
    Ok(())
}

/// As many as 8 MiB hold, of the smallest not too many.
fn many(size: usize) -> usize {
    ((8 << 20) / size).clamp(2, 2000)
}

fn dirty_reuse(heap: &'static Heap) -> Checked {
    for size in SIZES {
        for _ in 0..3 {
            dirty(heap, size, many(size))?;
            all_zero(heap, size, many(size))?;
        }
    }
    Ok(())
}

fn dirty_other_size(heap: &'static Heap) -> Checked {
    for large in [16 << 10, 256 << 10, 1 << 20, 3 << 20, 9 << 20] {
        dirty(heap, large, 4)?;
        for size in [8, 100, 4096, 40_000, 200_000, 1 << 20, 2 << 20] {
            all_zero(heap, size, many(size))?;
            dirty(heap, size, many(size))?;
        }
        all_zero(heap, large, 4)?;
    }
    Ok(())
}

fn dirty_remainder(heap: &'static Heap) -> Checked {
    for (from, to) in
        [(1000, 100), (60_000, 5000), (1 << 20, 100), (4 << 20, 100_000), (32 << 20, 3 << 20)]
    {
        let mut kept = Vec::new();
        for _ in 0..4 {
            let mut block = heap.malloc(from)?;
            block.fill(0xD1);
            kept.push(block.resized(to)?);
        }
        all_zero(heap, from - to, 6)?;
        all_zero(heap, from, 4)?;
        // Grown again, they are not zero but hold what they held.
        for block in kept {
            block.holds(0xD1)?;
            block.free();
        }
    }
    Ok(())
}

fn dirty_by_another(heap: &'static Heap) -> Checked {
    for size in SIZES {
        let count = many(size).min(200);
        let made = move || {
            let mut blocks = Vec::new();
            for _ in 0..count {
                let mut block = heap.malloc(size)?;
                block.fill(0xD1);
                blocks.push(block);
            }
            Ok::<_, Wrong>(blocks)
        };
        let blocks = thread::spawn(made).join().expect("no check panics")?;
        blocks.into_iter().for_each(Block::free);
        all_zero(heap, size, count)?;
        let other = thread::spawn(move || all_zero(heap, size, count));
        other.join().expect("no check panics")?;
    }
    Ok(())
}

fn product(heap: &'static Heap) -> Checked {
    for (count, size) in [(3, 7), (7, 3), (1000, 1), (33, 31), (1 << 10, 1 << 10), (65_537, 65)] {
        dirty(heap, count * size, 4)?;
        for _ in 0..4 {
            zero(heap.calloc(count, size), count * size)?.free();
        }
    }
    Ok(())
}
