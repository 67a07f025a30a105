//! Requests that can't be met.

use drystone_workloads::errno;

use crate::checks::sizes::SIZES;
use crate::child::block::Block;
use crate::child::functions::Way;
use crate::child::heap::{Heap, UNTOUCHED};
use crate::outcome::{Checked, Wrong, expect, fail};
use crate::row::{Check, Row};

/// The largest object that there may be, bytes.
const PTRDIFF_MAX: usize = isize::MAX as usize;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "limits/ptrdiff-max",
        about: "more than PTRDIFF_MAX bytes fail with ENOMEM by every function",
        source: "malloc(3), posix_memalign(3); POSIX.1-2024 malloc",
        check: Check::Judged(above_ptrdiff_max),
    },
    Row {
        name: "limits/size-max",
        about: "the last page of sizes fails: no rounding up wraps around",
        source: "C23 7.24.3",
        check: Check::Judged(last_sizes),
    },
    Row {
        name: "limits/ptrdiff-max-itself",
        about: "PTRDIFF_MAX bytes, more than any address space holds, fail with ENOMEM",
        source: "malloc(3)",
        check: Check::Judged(largest),
    },
    Row {
        name: "limits/calloc-overflow",
        about: "calloc whose product overflows fails with ENOMEM",
        source: "C23 7.24.3.2; calloc(3)",
        check: Check::Judged(calloc_overflow),
    },
    Row {
        name: "limits/reallocarray-overflow",
        about: "reallocarray whose product overflows fails with ENOMEM, and the block is as \
                it was",
        source: "POSIX.1-2024 reallocarray",
        check: Check::Judged(reallocarray_overflow),
    },
    Row {
        name: "limits/realloc-failed",
        about: "a realloc that fails sets ENOMEM and leaves the block as it was",
        source: "C23 7.24.3.7; realloc(3)",
        check: Check::Judged(realloc_failed),
    },
    Row {
        name: "limits/posix_memalign-failed",
        about: "posix_memalign returns ENOMEM, does not set errno and leaves *memptr alone",
        source: "posix_memalign(3)",
        check: Check::Judged(posix_memalign_failed),
    },
    Row {
        name: "limits/huge-alignment",
        about: "an alignment that no address space has room for fails",
        source: "C23 7.24.3.1",
        check: Check::Judged(huge_alignment),
    },
    Row {
        name: "limits/goes-on",
        about: "after a thousand failures memory is allocated as before",
        source: "C23 7.24.3",
        check: Check::Judged(goes_on),
    },
];

/// Fails unless the request fails with `ENOMEM`.
fn failed(heap: &'static Heap, way: Way, size: usize) -> Checked {
    let (failed, error) = answer(heap, way, size)?;
    let expected = || format!("a failure with ENOMEM from {} of {size:#x} bytes", way.name());
    expect(failed, expected, || "a block".to_owned())?;
    expect(error == libc::ENOMEM, expected, || format!("one with error {error}"))
}

/// Whether the request fails, and with which error.
fn answer(heap: &'static Heap, way: Way, size: usize) -> Result<(bool, i32), Wrong> {
    Ok(match way {
        // It returns its error.
        Way::PosixMemalign(align) => {
            let answer = heap.posix_memalign(align, size)?;
            (answer.result != 0, answer.result)
        }
        _ => {
            errno::set(0);
            let block = heap.request(way, size)?;
            (block.is_none(), errno::get())
        }
    })
}

fn above_ptrdiff_max(heap: &'static Heap) -> Checked {
    for size in [PTRDIFF_MAX + 1, PTRDIFF_MAX + 4096, usize::MAX / 4 * 3] {
        for way in heap.ways() {
            failed(heap, way, size)?;
        }
    }
    Ok(())
}

fn last_sizes(heap: &'static Heap) -> Checked {
    for below in 0..=8192 {
        for way in heap.ways() {
            let size = usize::MAX - below;
            expect(
                answer(heap, way, size)?.0,
                || format!("a failure from {} of {size:#x} bytes", way.name()),
                || "a block".to_owned(),
            )?;
        }
    }
    Ok(())
}

fn largest(heap: &'static Heap) -> Checked {
    for below in [0, 1, 15, 4095, 4096, 1 << 20] {
        for way in heap.ways() {
            failed(heap, way, PTRDIFF_MAX - below)?;
        }
    }
    Ok(())
}

fn calloc_overflow(heap: &'static Heap) -> Checked {
    let half = 1 << (usize::BITS / 2);
    let pairs = [
        (usize::MAX, 2),
        (2, usize::MAX),
        (half, half),
        (half + 1, half),
        (usize::MAX / 2 + 1, 2),
        (usize::MAX / 16 + 1, 16),
        (usize::MAX / 16 + 2, 16),
        (usize::MAX / 3 + 1, 3),
        (usize::MAX, usize::MAX),
        (PTRDIFF_MAX, 2),
        (PTRDIFF_MAX / 8 + 1, 8),
    ];
    for (count, size) in pairs {
        errno::set(0);
        let block = heap.calloc(count, size);
        let error = errno::get();
        expect(
            block.is_none() && error == libc::ENOMEM,
            || format!("null and ENOMEM from calloc({count:#x}, {size:#x})"),
            || format!("{}, errno {error}", if block.is_none() { "null" } else { "a block" }),
        )?;
    }
    Ok(())
}

fn reallocarray_overflow(heap: &'static Heap) -> Checked {
    for (count, size) in [(usize::MAX, 2), (1 << 33, 1 << 33), (usize::MAX / 16 + 2, 16)] {
        let mut block = heap.malloc(1000)?;
        block.fill(7);
        errno::set(0);
        let answer = block.reallocarray(count, size)?;
        let error = errno::get();
        let expected = || format!("null and ENOMEM from reallocarray of {count:#x} * {size:#x}");
        let Err(old) = answer else { return fail(expected(), "a block") };
        expect(error == libc::ENOMEM, expected, || format!("null and errno {error}"))?;
        old.holds(7)?;
        old.free();
    }
    Ok(())
}

fn realloc_failed(heap: &'static Heap) -> Checked {
    for size in SIZES {
        for wanted in [PTRDIFF_MAX + 1, usize::MAX, usize::MAX - 15, PTRDIFF_MAX - 4096] {
            let mut block = heap.malloc(size)?;
            block.fill(3);
            errno::set(0);
            let answer = block.realloc(wanted);
            let error = errno::get();
            let expected = || format!("null and ENOMEM from realloc to {wanted:#x}");
            let Err(old) = answer else { return fail(expected(), "a block") };
            expect(error == libc::ENOMEM, expected, || format!("null and errno {error}"))?;
            old.holds(3)?;
            old.resized(size + 10)?.free();
        }
    }
    Ok(())
}

fn posix_memalign_failed(heap: &'static Heap) -> Checked {
    for align in [8, 64, 4096, 2 << 20] {
        for size in [PTRDIFF_MAX + 1, usize::MAX, usize::MAX - 4096, PTRDIFF_MAX - 4096] {
            let answer = heap.posix_memalign(align, size)?;
            expect(
                answer.result == libc::ENOMEM,
                || format!("ENOMEM from posix_memalign({align}, {size:#x})"),
                || answer.result.to_string(),
            )?;
            untouched(answer.memptr.addr(), answer.errno)?;
        }
    }
    Ok(())
}

fn untouched(memptr: usize, error: i32) -> Checked {
    expect(
        memptr == UNTOUCHED.addr(),
        || "*memptr as it was after an error".to_owned(),
        || format!("{memptr:#x}"),
    )?;
    expect(error == 0, || "errno not set".to_owned(), || format!("errno {error}"))
}

fn huge_alignment(heap: &'static Heap) -> Checked {
    for shift in [48, 56, 62, 63] {
        let align = 1usize << shift;
        for way in [Way::AlignedAlloc(align), Way::PosixMemalign(align), Way::Memalign(align)] {
            let Some(block) = heap.request(way, 100)? else { continue };
            return fail(
                format!("null from {} aligned to 1 << {shift}", way.name()),
                format!("{:#x}", block.address()),
            );
        }
    }
    Ok(())
}

fn goes_on(heap: &'static Heap) -> Checked {
    let mut block = heap.malloc(100)?;
    block.fill(1);
    for _ in 0..1000 {
        if heap.try_malloc(usize::MAX - 100).is_some() {
            return fail("null", "a block of nearly SIZE_MAX bytes");
        }
    }
    let blocks: Result<Vec<Block>, Wrong> =
        SIZES.into_iter().map(|size| heap.malloc(size)).collect();
    blocks?.into_iter().for_each(Block::free);
    block.holds(1)?;
    block.free();
    Ok(())
}
