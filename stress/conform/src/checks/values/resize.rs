//! `realloc` on every way that it may take.

use std::{ptr, thread};

use crate::checks::sizes::SIZES;
use crate::child::block::Block;
use crate::child::functions::Way;
use crate::child::heap::Heap;
use crate::outcome::{Checked, Wrong, expect};
use crate::row::{Check, Row};
use drystone_harness::usage::page;

const C23: &str = "C23 7.24.3.7";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "realloc/every-pair",
        about: "from every size to every other: what both have in common is kept",
        source: C23,
        check: Check::Judged(every_pair),
    },
    Row {
        name: "realloc/in-place",
        about: "to the same size, and to the usable size: all is kept",
        source: C23,
        check: Check::Judged(in_place),
    },
    Row {
        name: "realloc/step-by-step",
        about: "grown by a few bytes at a time to 200 KB, and shrunk again",
        source: C23,
        check: Check::Judged(step_by_step),
    },
    Row {
        name: "realloc/split",
        about: "what a shrinking realloc gives up serves others and does not disturb the rest",
        source: C23,
        check: Check::Judged(split),
    },
    Row {
        name: "realloc/moved",
        about: "grown where neighbours are in the way",
        source: C23,
        check: Check::Judged(moved),
    },
    Row {
        name: "realloc/mapping",
        about: "mappings of 1 to 256 MiB grown and shrunk",
        source: C23,
        check: Check::Judged(mapping),
    },
    Row {
        name: "realloc/split-mapping",
        about: "a mapping that the program has given advice on or locked in part is resized",
        source: "C23 7.24.3.7; madvise(2), mlock(2)",
        check: Check::Judged(split_mapping),
    },
    Row {
        name: "realloc/aligned",
        about: "blocks of aligned_alloc and posix_memalign keep their content",
        source: "C23 7.24.3.7; posix_memalign(3)",
        check: Check::Judged(aligned),
    },
    Row {
        name: "realloc/by-another",
        about: "in a thread that did not allocate the block, and after its owner's exit",
        source: "C23 7.24.3; malloc(3)",
        check: Check::Judged(by_another),
    },
    Row {
        name: "realloc/array",
        about: "reallocarray resizes to the product",
        source: "POSIX.1-2024 reallocarray",
        check: Check::Judged(array),
    },
    Row {
        name: "realloc/at-random",
        about: "50,000 resizes, frees and requests over 200 live blocks, every byte checked",
        source: C23,
        check: Check::Judged(at_random),
    },
    Row {
        name: "realloc/shrink-moves",
        about: "whether realloc to a tenth moves the block",
        source: "C23 7.24.3.7: it may",
        check: Check::Recorded(shrink_moves),
    },
];

/// Resizes, and checks what must have been kept.
fn resized(mut block: Block, size: usize) -> Result<Block, Wrong> {
    block.fill(block.size() as u64);
    let seed = block.size() as u64;
    let common = block.size().min(size);
    let block = block.resized(size)?;
    block.holds_to(common, seed)?;
    Ok(block)
}

fn every_pair(heap: &'static Heap) -> Checked {
    for from in SIZES {
        for to in SIZES {
            let guard = heap.malloc(from)?;
            resized(heap.malloc(from)?, to)?.free();
            guard.free();
        }
    }
    Ok(())
}

fn in_place(heap: &'static Heap) -> Checked {
    for size in SIZES {
        let block = resized(heap.malloc(size)?, size)?;
        let usable = block.usable_size()?;
        let block = resized(block, usable)?;
        resized(block, size)?.free();
    }
    Ok(())
}

fn step_by_step(heap: &'static Heap) -> Checked {
    let mut block = heap.malloc(1)?;
    let mut size = 1;
    while size < 200_000 {
        size += 1 + size / 50;
        block = resized(block, size)?;
    }
    while size > 1 {
        size -= 1 + size / 50;
        block = resized(block, size.max(1))?;
    }
    block.free();
    Ok(())
}

fn split(heap: &'static Heap) -> Checked {
    for (from, to) in [(2000, 100), (30_000, 50), (200_000, 3000), (1 << 20, 16), (6 << 20, 5000)] {
        let mut block = resized(heap.malloc(from)?, to)?;
        block.fill(9);
        let mut others = Vec::new();
        for seed in 0..8 {
            let mut other = heap.malloc((from - to) / 8)?;
            other.fill(seed);
            others.push(other);
        }
        block.holds(9)?;
        for (seed, other) in others.into_iter().enumerate() {
            other.holds(seed as u64)?;
            other.free();
        }
        block.free();
    }
    Ok(())
}

fn moved(heap: &'static Heap) -> Checked {
    for size in SIZES {
        let mut blocks = Vec::new();
        for seed in 0..6 {
            let mut block = heap.malloc(size)?;
            block.fill(seed);
            blocks.push(block);
        }
        let middle = blocks.remove(3);
        let middle = middle.resized(size * 3 + 100)?;
        middle.holds_to(size, 3)?;
        middle.free();
        for (place, block) in blocks.into_iter().enumerate() {
            block.holds(if place < 3 { place } else { place + 1 } as u64)?;
            block.free();
        }
    }
    Ok(())
}

fn mapping(heap: &'static Heap) -> Checked {
    let mut block = heap.malloc(1 << 20)?;
    for mib in [2, 3, 8, 64, 256, 65, 64, 9, 1] {
        // Pages here and there are written and read: all of it would take its time.
        for at in (0..block.size() - 64).step_by(1 << 20) {
            touch(&mut block, at);
        }
        let common = block.size().min(mib << 20);
        block = block.resized(mib << 20)?;
        for at in (0..common - 64).step_by(1 << 20) {
            touched(&block, at)?;
        }
    }
    block.free();
    Ok(())
}

fn touch(block: &mut Block, at: usize) {
    // SAFETY: `at` and the seven bytes after it are in the block.
    unsafe { block.pointer().add(at).cast::<usize>().write_unaligned(at ^ 0x5a5a) };
}

fn touched(block: &Block, at: usize) -> Checked {
    // SAFETY: `at` and the seven bytes after it are in the block, and were written.
    let seen = unsafe { block.pointer().add(at).cast::<usize>().read_unaligned() };
    expect(
        seen == at ^ 0x5a5a,
        || format!("what was written at offset {at}"),
        || format!("{seen:#x}"),
    )
}

/// Advice on some pages splits the mapping in the kernel; mremap then fails for the whole.
fn split_mapping(heap: &'static Heap) -> Checked {
    for (from, to) in [(4 << 20, 12 << 20), (12 << 20, 3 << 20), (64 << 20, 65 << 20)] {
        for advice in [libc::MADV_RANDOM, libc::MADV_NOHUGEPAGE, libc::MADV_DONTDUMP] {
            let mut block = heap.malloc(from)?;
            block.fill(4);
            let middle = (block.address() + from / 2).next_multiple_of(page() as usize);
            let offset = middle - block.address();
            // SAFETY: the pages are the block's; the advice changes no content.
            let answer = unsafe {
                libc::madvise(block.pointer().add(offset).cast(), page() as usize * 16, advice)
            };
            done(answer, &format!("madvise {advice}"))?;
            let block = block.resized(to)?;
            block.holds_to(from.min(to), 4)?;
            block.free();
        }
        let block = heap.malloc(from)?;
        let start =
            (block.address() + page() as usize).next_multiple_of(page() as usize) - block.address();
        // SAFETY: the page is the block's, and is unlocked again by whoever unmaps it.
        let answer = unsafe { libc::mlock(block.pointer().add(start).cast(), page() as usize) };
        done(answer, "mlock of a page")?;
        resized(block, to)?.free();
    }
    Ok(())
}

/// What the system can't do here leaves nothing to check.
fn done(answer: i32, what: &str) -> Checked {
    if answer == 0 {
        return Ok(());
    }
    Err(Wrong::CannotTell(format!("{what}: {}", std::io::Error::last_os_error())))
}

fn aligned(heap: &'static Heap) -> Checked {
    for align in [32, 256, 4096, 64 << 10, 2 << 20] {
        for size in [1, 100, 5000, 300_000, 3 << 20] {
            for way in [Way::AlignedAlloc(align), Way::PosixMemalign(align)] {
                let block = resized(heap.get(way, size)?, size * 2 + 1)?;
                let block = resized(block, size / 2 + 1)?;
                resized(block, size + align)?.free();
            }
        }
    }
    Ok(())
}

fn by_another(heap: &'static Heap) -> Checked {
    for size in SIZES {
        let block = heap.malloc(size)?;
        let other = thread::spawn(move || resized(block, size * 2 + 1));
        let block = other.join().expect("no check panics")?;
        let block = resized(block, size / 3 + 1)?;
        resized(block, size + 5)?.free();
    }
    Ok(())
}

fn array(heap: &'static Heap) -> Checked {
    let mut block = heap.malloc(24)?;
    for (count, size) in [(3, 100), (1000, 7), (2, 1 << 20), (10, 10), (1, 1)] {
        block.fill(5);
        let common = block.size().min(count * size);
        block = match block.reallocarray(count, size)? {
            Ok(block) => block,
            Err(_) => {
                return crate::outcome::fail(format!("a block of {count} * {size} bytes"), "null");
            }
        };
        block.holds_to(common, 5)?;
    }
    block.free();
    Ok(())
}

fn at_random(heap: &'static Heap) -> Checked {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    // xorshift64 (Marsaglia 2003): the same steps in every run and on every allocator.
    let mut below = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    let mut blocks: Vec<(u64, Block)> = Vec::new();
    for step in 0..50_000 {
        let size = match below(20) {
            0 => below(300_000),
            1..6 => below(8000),
            _ => below(400),
        } as usize
            + 1;
        if blocks.len() < 200 {
            let mut block = heap.malloc(size)?;
            block.fill(step);
            blocks.push((step, block));
            continue;
        }
        let place = below(blocks.len() as u64) as usize;
        let (seed, block) = blocks.swap_remove(place);
        block.holds(seed)?;
        if below(3) == 0 {
            block.free();
            continue;
        }
        let common = block.size().min(size);
        let mut block = block.resized(size)?;
        block.holds_to(common, seed)?;
        block.fill(step);
        blocks.push((step, block));
    }
    for (seed, block) in blocks {
        block.holds(seed)?;
        block.free();
    }
    Ok(())
}

fn shrink_moves(heap: &'static Heap) -> Result<String, Wrong> {
    let mut moves = Vec::new();
    for size in [200, 5000, 60_000, 600_000, 6 << 20] {
        let block = heap.malloc(size)?;
        let at = block.pointer();
        let block = block.resized(size / 10)?;
        if !ptr::eq(at, block.pointer()) {
            moves.push(size.to_string());
        }
        block.free();
    }
    match moves.is_empty() {
        true => Ok("in place".to_owned()),
        false => Ok(format!("moves from {} B", moves.join(", "))),
    }
}
