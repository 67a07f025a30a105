//! A little of everything that a heap does, for places in which a check may not allocate by itself:
//! signal handlers, destructors, forked children. Of the harness's memory [`exercise`], [`still`]
//! and [`end_with`] use none; the others are for checks that may.

use drystone_harness::usage::Statm;

use crate::child::block::Block;
use crate::child::functions::Way;
use crate::child::heap::Heap;
use crate::outcome::{Checked, Wrong, fail};
use crate::protocol::say::say_failed;

/// Bytes of the blocks: a few classes, and one that most allocators map.
const SIZES: [usize; 6] = [1, 40, 600, 5000, 70_000, 600_000];
/// Of each block so many bytes are written and checked: this runs thousands of times.
const WRITTEN: usize = 1024;

/// What is said where a request fails.
const FAILED: &str = "a request failed, though memory is there";
/// What is said where a block holds something else than was written.
const CHANGED: &str = "a block that holds what nobody wrote";

/// Allocates, resizes, checks and frees.
///
/// # Errors
/// A sentence on what went wrong.
pub(super) fn exercise(heap: &'static Heap, seed: u64) -> Result<(), &'static str> {
    let mut blocks: [Option<Block>; SIZES.len()] = [const { None }; SIZES.len()];
    for (place, size) in SIZES.into_iter().enumerate() {
        let mut block = heap.try_malloc(size).ok_or(FAILED)?;
        block.fill_to(size.min(WRITTEN), seed);
        blocks[place] = Some(block);
        let zeroed = heap.calloc(1, size.min(8 * WRITTEN)).ok_or(FAILED)?;
        if zeroed.not_zero().is_some() {
            return Err("calloc's memory is not zero");
        }
        zeroed.free();
        match heap.request(Way::PosixMemalign(256), size) {
            Ok(Some(aligned)) if aligned.address().is_multiple_of(256) => aligned.free(),
            Ok(Some(_)) => return Err("posix_memalign's block is not aligned"),
            Ok(None) => return Err(FAILED),
            // The allocator does not define it.
            Err(_) => {}
        }
    }
    for (place, size) in SIZES.into_iter().enumerate() {
        let block = blocks[place].take().ok_or(FAILED)?;
        let block = block.realloc(size * 2 + 7).map_err(|_| FAILED)?;
        if block.differs(size.min(WRITTEN), seed).is_some() {
            return Err(CHANGED);
        }
        block.free();
    }
    Ok(())
}

/// As [`exercise`], for whom the sentence is the answer.
///
/// # Errors
/// What went wrong.
pub(super) fn exercised(heap: &'static Heap, seed: u64) -> Checked {
    exercise(heap, seed).or_else(|sentence| fail("a heap that works", sentence))
}

/// Checks that a block holds what was written, for those who may not allocate.
///
/// # Errors
/// A sentence.
pub(super) fn still(block: &Block, seed: u64) -> Result<(), &'static str> {
    match block.differs(block.size(), seed) {
        None => Ok(()),
        Some(_) => Err(CHANGED),
    }
}

/// Stages in which what grows must come to rest.
const STAGES: usize = 10;
/// What no stage may lead to, KiB: nobody's machine is to be filled.
const FAR_TOO_MUCH: usize = 64 << 10;

/// Repeats a stage that frees all it allocates until one leaves less than `growth` KiB more
/// resident than the one before: what comes to rest is a cache that fills, or a table that is
/// walked through once, and lost is nothing.
///
/// # Errors
/// None of [`STAGES`] does, or [`FAR_TOO_MUCH`] is resident; or what `stage` returns.
pub(super) fn comes_to_rest(growth: usize, mut stage: impl FnMut() -> Checked) -> Checked {
    let mut seen = Vec::with_capacity(STAGES + 1);
    seen.push(resident()?);
    for place in 0..STAGES {
        stage()?;
        seen.push(resident()?);
        if seen[place + 1] < seen[place] + growth {
            return Ok(());
        }
        if seen[place + 1] > seen[0] + FAR_TOO_MUCH {
            break;
        }
    }
    fail(
        format!("less than {growth} KiB more resident after one of {STAGES} stages"),
        format!("{seen:?} KiB"),
    )
}

/// The resident set of this process, KiB (proc_pid_statm(5)).
///
/// # Errors
/// `/proc` can't be read.
pub(super) fn resident() -> Result<usize, Wrong> {
    Ok(statm()?.resident as usize / 1024)
}

/// The address space of this process, bytes (proc_pid_statm(5)).
///
/// # Errors
/// `/proc` can't be read.
pub(super) fn address_space() -> Result<usize, Wrong> {
    Ok(statm()?.size as usize)
}

fn statm() -> Result<Statm, Wrong> {
    Statm::of_this_process().map_err(|error| Wrong::CannotTell(error.to_string()))
}

/// Ends the process at once, by `_exit` with status 1, after the line that says that the check has
/// failed. For handlers that run where nothing can be returned, and wherever the harness's memory
/// may be locked.
pub(super) fn end_with(expected: &'static str, got: &'static str) -> ! {
    say_failed(expected, got);
    drystone_harness::exit::now(drystone_harness::exit::FOUND)
}
