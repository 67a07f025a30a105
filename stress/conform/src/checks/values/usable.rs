//! How much of a block may be used.

use crate::checks::sizes::SIZES;
use crate::child::block::Block;
use crate::child::functions::Way;
use crate::child::heap::Heap;
use crate::outcome::{Checked, expect};
use crate::row::{Check, Row};

const SOURCE: &str = "malloc_usable_size(3)";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "usable/at-least",
        about: "the usable size is not below the requested, for every function",
        source: SOURCE,
        check: Check::Judged(at_least),
    },
    Row {
        name: "usable/null",
        about: "the usable size of NULL is 0",
        source: SOURCE,
        check: Check::Judged(null),
    },
    Row {
        name: "usable/writable",
        about: "all usable bytes can be written without touching another block, and the blocks \
                freed",
        source: SOURCE,
        check: Check::Judged(writable),
    },
    Row {
        name: "usable/after-realloc",
        about: "the same after blocks were grown and shrunk",
        source: SOURCE,
        check: Check::Judged(after_realloc),
    },
    Row {
        name: "usable/steady",
        about: "the usable size of a live block does not change by itself",
        source: SOURCE,
        check: Check::Judged(steady),
    },
    Row {
        name: "usable/small",
        about: "usable sizes of blocks of 1, 24, 100 and 1,000 bytes",
        source: SOURCE,
        check: Check::Recorded(|heap| {
            let mut sizes = Vec::new();
            for size in [1, 24, 100, 1000] {
                sizes.push(heap.malloc(size)?.usable_size()?.to_string());
            }
            Ok(sizes.join(", "))
        }),
    },
];

fn at_least(heap: &'static Heap) -> Checked {
    for way in heap.ways() {
        for size in (1..600).chain(SIZES) {
            let block = heap.get(way, size)?;
            enough(&block, way)?;
            block.free();
        }
    }
    Ok(())
}

fn enough(block: &Block, way: Way) -> Checked {
    let usable = block.usable_size()?;
    expect(
        usable >= block.size(),
        || format!("{} usable bytes at least of {}", block.size(), way.name()),
        || usable.to_string(),
    )
}

fn null(heap: &'static Heap) -> Checked {
    let usable = heap.usable_size_of_null()?;
    expect(usable == 0, || "0".to_owned(), || usable.to_string())
}

/// Fills every usable byte of every block before any is looked at.
fn all_of(blocks: Vec<Block>) -> Checked {
    let mut filled = Vec::new();
    for (seed, mut block) in blocks.into_iter().enumerate() {
        let usable = block.usable_size()?;
        block.fill_to(usable, seed as u64);
        filled.push((block, usable));
    }
    for (seed, (block, usable)) in filled.iter().enumerate() {
        block.holds_to(*usable, seed as u64)?;
        let now = block.usable_size()?;
        expect(now == *usable, || format!("{usable} usable bytes as before"), || now.to_string())?;
    }
    filled.into_iter().for_each(|(block, _)| block.free());
    Ok(())
}

fn writable(heap: &'static Heap) -> Checked {
    let mut blocks = Vec::new();
    for way in heap.ways() {
        for size in [1, 7, 24, 40, 100, 500, 1000, 4000, 5000, 33_000, 300_000, 2_000_000] {
            for _ in 0..3 {
                blocks.push(heap.get(way, size)?);
            }
        }
    }
    all_of(blocks)
}

fn after_realloc(heap: &'static Heap) -> Checked {
    let mut blocks = Vec::new();
    for (from, to) in
        [(100, 50), (50, 100), (4000, 3000), (300_000, 10), (10, 300_000), (5 << 20, 3 << 20)]
    {
        for _ in 0..3 {
            let block = heap.malloc(from)?.resized(to)?;
            enough(&block, Way::Realloc)?;
            blocks.push(block);
        }
    }
    all_of(blocks)
}

fn steady(heap: &'static Heap) -> Checked {
    let block = heap.malloc(1000)?;
    let before = block.usable_size()?;
    for size in SIZES {
        heap.malloc(size)?.free();
    }
    let after = block.usable_size()?;
    block.free();
    expect(before == after, || before.to_string(), || after.to_string())
}
