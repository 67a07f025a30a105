//! How an entry becomes bytes: a byte for the call, and LEB128 numbers.

use crate::journal::call::{Call, Name};

/// The longest entry: a kind and six numbers of ten bytes.
pub(super) const LONGEST: usize = 64;

/// A signed step as a number that is small when the step is.
pub(super) fn zigzag(step: u64) -> u64 {
    (step << 1) ^ ((step.cast_signed() >> 63).cast_unsigned())
}

/// The inverse of [`zigzag`].
pub(super) fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

/// Appends a number in LEB128.
#[inline]
pub(super) fn put(bytes: &mut [u8; LONGEST], at: &mut usize, mut number: u64) {
    // No entry is longer than `LONGEST`, so the remainder is the number; it saves the bounds'
    // checks.
    while number >= 0x80 {
        bytes[*at % LONGEST] = number as u8 | 0x80;
        *at += 1;
        number >>= 7;
    }
    bytes[*at % LONGEST] = number as u8;
    *at += 1;
}

/// A block of the worker's own is named by how long ago it was made, another's by its name.
fn put_name(bytes: &mut [u8; LONGEST], at: &mut usize, name: Name, next: Name) {
    if name.owner == next.owner && name.sequence <= next.sequence {
        put(bytes, at, (next.sequence - name.sequence) << 1);
    } else {
        put(bytes, at, (name.owner as u64) << 1 | 1);
        put(bytes, at, name.sequence);
    }
}

/// Writes an entry without its address; returns its length. `next` is the name of the worker's next
/// block.
#[inline]
pub(super) fn encode(bytes: &mut [u8; LONGEST], call: Call, since: u64, next: Name) -> usize {
    let (kind, block, numbers): (u8, Option<Name>, [Option<usize>; 2]) = match call {
        Call::Malloc { size } => (0, None, [Some(size), None]),
        Call::Calloc { count, size } => (1, None, [Some(count), Some(size)]),
        Call::AlignedAlloc { alignment, size } => (2, None, [Some(alignment), Some(size)]),
        Call::ReallocNull { size } => (3, None, [Some(size), None]),
        Call::FreeNull => (4, None, [None, None]),
        Call::Realloc { block, size } => (5, Some(block), [Some(size), None]),
        Call::Free { block } => (6, Some(block), [None, None]),
        Call::Verify { block } => (7, Some(block), [None, None]),
        Call::ImpossibleResize { block, size } => (8, Some(block), [Some(size), None]),
        Call::ImpossibleMalloc { size } => (9, None, [Some(size), None]),
        Call::ImpossibleCalloc { count, size } => (10, None, [Some(count), Some(size)]),
        Call::ImpossibleAligned { alignment, size } => (11, None, [Some(alignment), Some(size)]),
        Call::Rest => (12, None, [None, None]),
        Call::End => (13, None, [None, None]),
        Call::GiveUp { block } => (14, Some(block), [None, None]),
        Call::Begin => (15, None, [None, None]),
    };
    bytes[0] = kind;
    let mut at = 1;
    put(bytes, &mut at, since);
    if let Some(block) = block {
        put_name(bytes, &mut at, block, next);
    }
    for number in numbers.into_iter().flatten() {
        put(bytes, &mut at, number as u64);
    }
    at
}
