//! Where blocks begin.

use crate::checks::sizes::SIZES;
use crate::child::block::Block;
use crate::child::functions::Way;
use crate::child::heap::{Heap, UNTOUCHED};
use crate::outcome::{Checked, Wrong, expect, fail};
use crate::row::{Check, Row};
use drystone_harness::usage::page;

/// Alignment of `max_align_t`, bytes, on the platforms that this runs on.
const FUNDAMENTAL: usize = 16;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "alignment/malloc",
        about: "malloc, calloc and realloc align to every fundamental type that fits into the size",
        source: "C23 7.24.3",
        check: Check::Judged(fundamental),
    },
    Row {
        name: "alignment/aligned_alloc-4K",
        about: "aligned_alloc of every alignment from 1 to 4 KiB",
        source: "C23 7.24.3.1",
        check: Check::Judged(|heap| aligned(heap, Way::AlignedAlloc, 0..=12)),
    },
    Row {
        name: "alignment/aligned_alloc-2M",
        about: "aligned_alloc of every alignment from 8 KiB to 2 MiB",
        source: "C23 7.24.3.1",
        check: Check::Judged(|heap| aligned(heap, Way::AlignedAlloc, 13..=21)),
    },
    Row {
        name: "alignment/posix_memalign-4K",
        about: "posix_memalign of every alignment from 8 B to 4 KiB",
        source: "POSIX.1-2024 posix_memalign",
        check: Check::Judged(|heap| aligned(heap, Way::PosixMemalign, 3..=12)),
    },
    Row {
        name: "alignment/posix_memalign-2M",
        about: "posix_memalign of every alignment from 8 KiB to 2 MiB",
        source: "POSIX.1-2024 posix_memalign",
        check: Check::Judged(|heap| aligned(heap, Way::PosixMemalign, 13..=21)),
    },
    Row {
        name: "alignment/memalign",
        about: "memalign of every alignment from 1 to 2 MiB",
        source: "posix_memalign(3)",
        check: Check::Judged(|heap| aligned(heap, Way::Memalign, 0..=21)),
    },
    Row {
        name: "alignment/valloc",
        about: "valloc aligns to a page",
        source: "posix_memalign(3)",
        check: Check::Judged(|heap| on_a_page(heap, Way::Valloc)),
    },
    Row {
        name: "alignment/pvalloc",
        about: "pvalloc aligns to a page and rounds the size up to one",
        source: "posix_memalign(3)",
        check: Check::Judged(pvalloc),
    },
    Row {
        name: "alignment/reused",
        about: "alignment holds where memory is used again, between blocks of other sizes",
        source: "C23 7.24.3.1",
        check: Check::Judged(reused),
    },
    Row {
        name: "alignment/posix_memalign-bad",
        about: "posix_memalign returns EINVAL for 0, no power of two, or less than a pointer's \
                size; errno is not set and *memptr is left alone",
        source: "POSIX.1-2024 posix_memalign; posix_memalign(3)",
        check: Check::Judged(posix_memalign_bad),
    },
    Row {
        name: "alignment/posix_memalign-errno",
        about: "a posix_memalign that succeeds returns 0 and does not set errno",
        source: "posix_memalign(3)",
        check: Check::Judged(posix_memalign_errno),
    },
    Row {
        name: "alignment/aligned_alloc-bad",
        about: "aligned_alloc of an alignment that is no power of two returns null",
        source: "C23 7.24.3.1; 6.2.8",
        check: Check::Judged(aligned_alloc_bad),
    },
    Row {
        name: "alignment/odd-size",
        about: "whether aligned_alloc serves a size that is no multiple of the alignment",
        source: "C11 7.22.3.1 forbids it, C17 and C23 do not",
        check: Check::Recorded(odd_size),
    },
    Row {
        name: "alignment/memalign-bad",
        about: "what memalign(48, 100) returns",
        source: "posix_memalign(3): not checked",
        check: Check::Recorded(memalign_bad),
    },
    Row {
        name: "alignment/tiny",
        about: "the alignment of blocks of 1 to 15 bytes",
        source: "C23 7.24.3",
        check: Check::Recorded(tiny),
    },
];

/// What a block of `size` bytes must be aligned to: C23 asks it only for types that fit.
fn needed(size: usize) -> usize {
    match size {
        0 => 1,
        _ => FUNDAMENTAL.min(1 << size.ilog2()),
    }
}

fn fundamental(heap: &'static Heap) -> Checked {
    let mut blocks = Vec::new();
    let sizes = (1..2048).chain((2048..70_000).step_by(997)).chain(SIZES);
    for size in sizes {
        for way in [Way::Malloc, Way::Calloc, Way::Realloc] {
            let block = heap.get(way, size)?;
            block.aligned(needed(size), way)?;
            blocks.push(block);
        }
        let grown = heap.malloc(size)?.resized(size + size / 2 + 1)?;
        grown.aligned(needed(size), Way::Realloc)?;
        blocks.push(grown);
    }
    blocks.into_iter().for_each(Block::free);
    Ok(())
}

/// Every alignment with sizes below, at and above it, all live at once and filled, so that none
/// lies in another.
fn aligned(
    heap: &'static Heap,
    way: fn(usize) -> Way,
    shifts: std::ops::RangeInclusive<usize>,
) -> Checked {
    let mut blocks: Vec<Block> = Vec::new();
    for shift in shifts {
        let align = 1 << shift;
        let sizes = [1, 8, 100, align - align / 2, align, align + 1, 3 * align, 100_000];
        for size in sizes {
            for _ in 0..3 {
                add(&mut blocks, heap, way(align), align, size)?;
            }
        }
    }
    whole(blocks)
}

/// Adds a block that must begin at a multiple of `align`, and fills it.
fn add(
    blocks: &mut Vec<Block>,
    heap: &'static Heap,
    way: Way,
    align: usize,
    size: usize,
) -> Checked {
    let mut block = heap.get(way, size)?;
    block.aligned(align, way)?;
    block.fill(blocks.len() as u64);
    blocks.push(block);
    Ok(())
}

/// Each of the blocks holds what it was filled with, and is freed.
fn whole(blocks: Vec<Block>) -> Checked {
    for (seed, block) in blocks.iter().enumerate() {
        block.holds(seed as u64)?;
    }
    blocks.into_iter().for_each(Block::free);
    Ok(())
}

fn on_a_page(heap: &'static Heap, way: Way) -> Checked {
    let mut blocks: Vec<Block> = Vec::new();
    for size in [1, 100, 4095, 4096, 4097, 10_000, 1 << 20] {
        add(&mut blocks, heap, way, page() as usize, size)?;
    }
    whole(blocks)
}

fn pvalloc(heap: &'static Heap) -> Checked {
    on_a_page(heap, Way::Pvalloc)?;
    let (mut one, mut other) = (heap.get(Way::Pvalloc, 1)?, heap.get(Way::Pvalloc, 1)?);
    if let Ok(usable) = one.usable_size() {
        expect(
            usable >= page() as usize,
            || "a whole page".to_owned(),
            || format!("{usable} bytes"),
        )?;
    }
    one.fill_to(page() as usize, 1);
    other.fill_to(page() as usize, 2);
    one.holds_to(page() as usize, 1)?;
    other.holds_to(page() as usize, 2)?;
    one.free();
    other.free();
    Ok(())
}

fn reused(heap: &'static Heap) -> Checked {
    for round in 0..20 {
        let mut blocks = Vec::new();
        for step in 0..400usize {
            let align = 1 << (4 + (step + round) % 10);
            let size = 1 + (step * 37 + round * 11) % 3000;
            let way = match step % 3 {
                0 => Way::Malloc,
                1 => Way::AlignedAlloc(align),
                _ => Way::PosixMemalign(align),
            };
            let mut block = heap.get(way, size)?;
            let align = if way == Way::Malloc { needed(size) } else { align };
            block.aligned(align, way)?;
            block.fill(step as u64);
            blocks.push((step as u64, block));
        }
        for (step, block) in blocks {
            block.holds(step)?;
            block.free();
        }
    }
    Ok(())
}

fn posix_memalign_bad(heap: &'static Heap) -> Checked {
    for align in [0, 1, 2, 4, 3, 12, 24, 40, 48, 100, 4095, 4104, usize::MAX] {
        let answer = heap.posix_memalign(align, 100)?;
        let call = || format!("posix_memalign of alignment {align}");
        expect(
            answer.result == libc::EINVAL,
            || format!("EINVAL from {}", call()),
            || answer.result.to_string(),
        )?;
        expect(
            answer.memptr == UNTOUCHED,
            || format!("*memptr as it was after {}", call()),
            || format!("{:#x}", answer.memptr.addr()),
        )?;
        expect(
            answer.errno == 0,
            || format!("errno not set by {}", call()),
            || format!("errno {}", answer.errno),
        )?;
    }
    Ok(())
}

fn posix_memalign_errno(heap: &'static Heap) -> Checked {
    for align in [8, 16, 64, 4096, 1 << 20] {
        for size in SIZES {
            let answer = heap.posix_memalign(align, size)?;
            let right = answer.result == 0 && answer.errno == 0 && !answer.memptr.is_null();
            expect(
                right,
                || format!("0 and errno not set from posix_memalign({align}, {size})"),
                || format!("{}, errno {}", answer.result, answer.errno),
            )?;
            // SAFETY: it was just allocated, with `size` bytes.
            unsafe { heap.wrap(answer.memptr.cast(), size) }.free();
        }
    }
    Ok(())
}

fn aligned_alloc_bad(heap: &'static Heap) -> Checked {
    for align in [0, 3, 12, 24, 48, 100, 4095, usize::MAX] {
        if let Some(block) = heap.request(Way::AlignedAlloc(align), 96)? {
            return fail(
                format!("null from aligned_alloc({align}, 96)"),
                format!("{:#x}", block.address()),
            );
        }
    }
    Ok(())
}

fn odd_size(heap: &'static Heap) -> Result<String, Wrong> {
    Ok(match heap.request(Way::AlignedAlloc(64), 100)? {
        Some(block) if block.address().is_multiple_of(64) => "served".to_owned(),
        Some(_) => "served, misaligned".to_owned(),
        None => "null".to_owned(),
    })
}

fn memalign_bad(heap: &'static Heap) -> Result<String, Wrong> {
    Ok(match heap.request(Way::Memalign(48), 100)? {
        Some(block) if block.address().is_multiple_of(64) => "rounded up to 64".to_owned(),
        Some(_) => "a pointer".to_owned(),
        None => "null".to_owned(),
    })
}

fn tiny(heap: &'static Heap) -> Result<String, Wrong> {
    let mut least = usize::MAX;
    for size in 1..16 {
        for _ in 0..64 {
            let address = heap.malloc(size)?.address();
            least = least.min(1 << address.trailing_zeros());
        }
    }
    Ok(format!("{least} B"))
}
