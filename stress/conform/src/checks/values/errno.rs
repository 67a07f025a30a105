//! `errno`: set by what fails, kept by `free`.

use std::thread;

use drystone_workloads::errno;

use crate::checks::sizes::SIZES;
use crate::child::block::Block;
use crate::child::functions::Way;
use crate::child::heap::Heap;
use crate::outcome::{Checked, Wrong, expect};
use crate::row::{Check, Row};

/// A value that nothing sets.
const MARK: i32 = 12_345;
const FREE: &str = "POSIX.1-2024 free";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "errno/free",
        about: "free keeps errno, for every size and function",
        source: FREE,
        check: Check::Judged(free),
    },
    Row {
        name: "errno/free-in-bulk",
        about: "free keeps errno when it gives memory back to the system",
        source: FREE,
        check: Check::Judged(free_in_bulk),
    },
    Row {
        name: "errno/free-null",
        about: "free(NULL) keeps errno",
        source: FREE,
        check: Check::Judged(|heap| {
            errno::set(MARK);
            heap.free_null();
            kept("free(NULL)", errno::get())
        }),
    },
    Row {
        name: "errno/free-elsewhere",
        about: "free keeps errno in a thread that did not allocate the block",
        source: FREE,
        check: Check::Judged(free_elsewhere),
    },
    Row {
        name: "errno/enomem",
        about: "malloc, calloc and realloc that fail set ENOMEM",
        source: "malloc(3); POSIX.1-2024 malloc, calloc, realloc",
        check: Check::Judged(enomem),
    },
    Row {
        name: "errno/success",
        about: "whether a malloc that succeeds keeps errno",
        source: "C23 7.5: it may be set",
        check: Check::Recorded(success),
    },
];

fn kept(what: &str, now: i32) -> Checked {
    expect(now == MARK, || format!("errno {MARK} as before {what}"), || now.to_string())
}

fn free(heap: &'static Heap) -> Checked {
    for way in heap.ways() {
        for size in SIZES {
            let block = heap.get(way, size)?;
            errno::set(MARK);
            block.free();
            kept(&format!("free of {size} bytes from {}", way.name()), errno::get())?;
        }
    }
    Ok(())
}

fn free_in_bulk(heap: &'static Heap) -> Checked {
    for size in [64, 4096, 100_000, 4 << 20] {
        let mut blocks = Vec::new();
        for _ in 0..(64 << 20) / size.max(512) {
            let mut block = heap.malloc(size)?;
            block.fill_to(size.min(64), 1);
            blocks.push(block);
        }
        errno::set(MARK);
        blocks.into_iter().for_each(Block::free);
        // The list of them went back too, to the harness's memory.
        kept(&format!("free of all blocks of {size} bytes"), errno::get())?;
    }
    Ok(())
}

fn free_elsewhere(heap: &'static Heap) -> Checked {
    let blocks: Result<Vec<Block>, Wrong> =
        SIZES.into_iter().map(|size| heap.malloc(size)).collect();
    let blocks = blocks?;
    let freeing = thread::spawn(move || {
        for block in blocks {
            let size = block.size();
            errno::set(MARK);
            block.free();
            kept(&format!("another thread's free of {size} bytes"), errno::get())?;
        }
        Ok(())
    });
    freeing.join().expect("no check panics")
}

fn enomem(heap: &'static Heap) -> Checked {
    for way in [Way::Malloc, Way::Calloc, Way::Realloc] {
        errno::set(0);
        let block = heap.request(way, usize::MAX - 5000)?;
        let error = errno::get();
        expect(
            block.is_none() && error == libc::ENOMEM,
            || format!("null and ENOMEM from {}", way.name()),
            || format!("{}, errno {error}", if block.is_none() { "null" } else { "a block" }),
        )?;
    }
    Ok(())
}

fn success(heap: &'static Heap) -> Result<String, Wrong> {
    for size in SIZES {
        errno::set(MARK);
        let block = heap.malloc(size)?;
        let error = errno::get();
        block.free();
        if error != MARK {
            return Ok(format!("errno {error} after {size} bytes"));
        }
    }
    Ok("kept".to_owned())
}
