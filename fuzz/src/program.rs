//! A program: calls of an allocator, made of the fuzzer's bytes. A call takes few bytes, and none
//! that mean nothing: a mutation of any of them is another program.

use arbitrary::{Arbitrary, Result, Unstructured};

/// The calls, in order.
#[derive(Clone, Debug)]
pub struct Program(pub Vec<Operation>);

/// A call, or several. A block is meant by a number modulo that of those there are.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    Malloc {
        size: usize,
    },
    Aligned {
        size: usize,
        align: usize,
    },
    Calloc {
        count: usize,
        size: usize,
    },
    ZeroedAligned {
        size: usize,
        align: usize,
    },
    Free {
        which: u8,
    },
    FreeSized {
        which: u8,
    },
    Realloc {
        which: u8,
        size: usize,
    },
    ReallocAligned {
        which: u8,
        size: usize,
        align: usize,
    },
    /// Frees a live block, and at once again.
    FreeTwice {
        which: u8,
    },
    /// Frees what was freed once, if no live block is there now.
    FreeStale {
        which: u8,
    },
    ReallocStale {
        which: u8,
        size: usize,
    },
    /// Frees a place within a live block.
    FreeInterior {
        which: u8,
        offset: u16,
    },
    /// Frees an address of no block.
    FreeForeign {
        address: usize,
    },
    UsableSize {
        which: u8,
    },
    /// Many blocks of one size.
    Many {
        size: usize,
        count: u8,
    },
    /// Frees the blocks that were allocated first.
    FreeMany {
        count: u8,
    },
    Verify {
        which: u8,
    },
    Trim,
    Check,
    /// The next calls are another thread's, which then exits.
    Elsewhere {
        calls: u8,
    },
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let mut operations = Vec::new();
        while !bytes.is_empty() {
            operations.push(bytes.arbitrary()?);
        }
        Ok(Program(operations))
    }
}

impl<'a> Arbitrary<'a> for Operation {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        use Operation::*;
        let kind = bytes.arbitrary::<u8>()?;
        let which = bytes.arbitrary()?;
        Ok(match kind % 24 {
            0..=2 => Malloc { size: size(which, bytes)? },
            3 => Aligned { align: align(which), size: any_size(bytes)? },
            4 => Calloc { count: 1, size: size(which, bytes)? },
            5 => Calloc { count: which.into(), size: any_size(bytes)? },
            6 => ZeroedAligned { align: align(which), size: any_size(bytes)? },
            7..=9 => Free { which },
            10 => FreeSized { which },
            11 | 12 => Realloc { which, size: any_size(bytes)? },
            13 => {
                ReallocAligned { which, size: any_size(bytes)?, align: align(bytes.arbitrary()?) }
            }
            14 => FreeTwice { which },
            15 => FreeStale { which },
            16 => ReallocStale { which, size: any_size(bytes)? },
            17 => FreeInterior { which, offset: bytes.arbitrary()? },
            18 => FreeForeign { address: address(which, bytes)? },
            19 => UsableSize { which },
            20 => Many { count: which, size: any_size(bytes)? },
            21 => FreeMany { count: which },
            22 => match which % 4 {
                0 => Trim,
                1 => Check,
                _ => Verify { which },
            },
            _ => Elsewhere { calls: which % 16 + 1 },
        })
    }
}

fn any_size(bytes: &mut Unstructured) -> Result<usize> {
    size(bytes.arbitrary()?, bytes)
}

/// Mostly small, often at a border between two classes, now and then one that no allocator has.
fn size(kind: u8, bytes: &mut Unstructured) -> Result<usize> {
    let number = usize::from(bytes.arbitrary::<u16>()?);
    Ok(match kind % 16 {
        0..=4 => number % 1025,
        5 | 6 => number,
        // The border of a class, or of a page: an eighth of a power of two, and a byte or so away.
        7..=9 => {
            let (power, step, away) = (number % 18, number >> 5 & 7, number >> 8 & 3);
            (((8 + step) << power) + away).saturating_sub(2)
        }
        10 => number << 4,
        11 => number << 7,
        12 => number % 33,
        13 => (4096 << (number & 7)) + (number >> 3 & 63) * 16,
        14 => isize::MAX as usize + 1 + number,
        _ => usize::MAX - number,
    })
}

/// A power of two up to 4 MiB; once in a while something that is none.
fn align(kind: u8) -> usize {
    match kind % 32 {
        power @ 0..=22 => 1 << power,
        23 => 0,
        24 => 48,
        power => 1 << (power - 21),
    }
}

fn address(kind: u8, bytes: &mut Unstructured) -> Result<usize> {
    static HERE: [u64; 8] = [0; 8];
    let local = 0u64;
    let number = bytes.arbitrary::<u64>()? as usize;
    Ok(match kind % 4 {
        0 => HERE.as_ptr().addr() + number % 64,
        1 => (&raw const local).addr() + number % 64,
        2 => number % (1 << 47),
        _ => number,
    })
}
