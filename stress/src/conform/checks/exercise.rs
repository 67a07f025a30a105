//! A little of everything that a heap does, for places in which a check may not allocate by itself: signal
//! handlers, destructors, forked children. Nothing in here uses the harness's memory.

use crate::conform::heap::{Block, Heap, Way};
use crate::conform::outcome::{Checked, Wrong, fail};
use crate::usage::Statm;

/// Bytes of the blocks: a few classes, and one that most allocators map.
const SIZES: [usize; 6] = [1, 40, 600, 5000, 70_000, 600_000];
/// Of each block so many bytes are written and checked: this runs thousands of times.
const WRITTEN: usize = 1024;

/// What is said where a request is refused.
const REFUSED: &str = "a request refused, though memory is there";
/// What is said where a block holds something else than was written.
const CHANGED: &str = "a block that holds what nobody wrote";

/// Allocates, resizes, checks and frees.
///
/// # Errors
/// A sentence on what went wrong.
pub fn exercise(heap: &'static Heap, seed: u64) -> Result<(), &'static str> {
    let mut blocks: [Option<Block>; SIZES.len()] = [const { None }; SIZES.len()];
    for (place, size) in SIZES.into_iter().enumerate() {
        let mut block = heap.try_malloc(size).ok_or(REFUSED)?;
        block.fill_to(size.min(WRITTEN), seed);
        blocks[place] = Some(block);
        let zeroed = heap.calloc(1, size.min(8 * WRITTEN)).ok_or(REFUSED)?;
        if zeroed.not_zero().is_some() {
            return Err("calloc's memory is not zero");
        }
        zeroed.free();
        if let Ok(Some(aligned)) = heap.request(Way::PosixMemalign(256), size) {
            if !aligned.address().is_multiple_of(256) {
                return Err("posix_memalign's block is not aligned");
            }
            aligned.free();
        }
    }
    for (place, size) in SIZES.into_iter().enumerate() {
        let block = blocks[place].take().ok_or(REFUSED)?;
        let block = block.realloc(size * 2 + 7).map_err(|_| REFUSED)?;
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
pub fn exercised(heap: &'static Heap, seed: u64) -> Checked {
    exercise(heap, seed).or_else(|sentence| fail("a heap that works", sentence))
}

/// Checks that a block holds what was written, for those who may not allocate.
///
/// # Errors
/// A sentence.
pub fn still(block: &Block, seed: u64) -> Result<(), &'static str> {
    match block.differs(block.size(), seed) {
        None => Ok(()),
        Some(_) => Err(CHANGED),
    }
}

/// The resident set of this process, KiB (proc_pid_statm(5)).
///
/// # Errors
/// `/proc` can't be read.
pub fn resident() -> Result<usize, Wrong> {
    Ok(statm()?.resident as usize / 1024)
}

/// The address space of this process, bytes (proc_pid_statm(5)).
///
/// # Errors
/// `/proc` can't be read.
pub fn address_space() -> Result<usize, Wrong> {
    Ok(statm()?.size as usize)
}

fn statm() -> Result<Statm, Wrong> {
    Statm::of_this_process().map_err(Wrong::CannotTell)
}

/// The status with which the C library's `exit` ends a check's process early, its sentence printed as what was
/// got. For handlers that run where nothing can be returned.
pub fn end_with(expected: &str, sentence: &str) -> ! {
    let (expected, got) = (expected.to_owned(), sentence.to_owned());
    let verdict = crate::conform::outcome::Verdict::Fail { expected, got };
    crate::conform::child::say(&crate::conform::job::Line::Done(verdict));
    crate::exit::now(1)
}
