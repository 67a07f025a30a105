//! The bytes beside a live guarded block, on its own pages: a write there does not fault, and is
//! found by a pattern.

use core::ptr;

const PATTERN: u8 = 0xBD;

/// Two parts of a live block's pages, each from an address to another.
pub struct Beside {
    pub before: (usize, usize),
    pub behind: (usize, usize),
}

impl Beside {
    /// Fills both with the pattern.
    pub fn fill(&self) {
        for (from, to) in [self.before, self.behind] {
            // SAFETY: bytes of a live block's pages, which nobody uses.
            unsafe { pointer(from).write_bytes(PATTERN, to - from) };
        }
    }

    /// The byte that somebody changed: the first one behind the block, else the last one before it.
    pub fn changed(&self) -> Option<usize> {
        first_changed(self.behind).or_else(|| last_changed(self.before))
    }
}

fn pointer(address: usize) -> *mut u8 {
    ptr::with_exposed_provenance_mut(address)
}

/// The first byte of a part beside a live block that is not the pattern. It is looked for by words,
/// eight bytes at a time.
fn first_changed((from, to): (usize, usize)) -> Option<usize> {
    let words = from.next_multiple_of(WORD).min(to)..to & !(WORD - 1);
    let word = words.step_by(WORD).find(|&word| is_changed(word)).unwrap_or(to & !(WORD - 1));
    (from..from.next_multiple_of(WORD).min(to)).chain(word.max(from)..to).find(is_byte_changed)
}

/// The last byte of such a part that is not the pattern.
fn last_changed((from, to): (usize, usize)) -> Option<usize> {
    let words = from..to & !(WORD - 1);
    let word =
        words.step_by(WORD).rev().find(|&word| is_changed(word)).map_or(from, |at| at + WORD);
    (from..word).chain(to & !(WORD - 1)..to).rev().find(is_byte_changed)
}

const WORD: usize = size_of::<u64>();

/// Whether one of the eight bytes at `word`, beside a live block, is not the pattern.
fn is_changed(word: usize) -> bool {
    // SAFETY: bytes of a live block's pages. Others may write them, though none should: then they
    // are any numbers.
    unsafe { pointer(word).cast::<u64>().read_volatile() != u64::from_ne_bytes([PATTERN; WORD]) }
}

/// Whether the byte at `byte`, beside a live block, is not the pattern.
fn is_byte_changed(&byte: &usize) -> bool {
    // SAFETY: a byte of a live block's pages. Others may write it, though none should: then it is
    // any number.
    unsafe { pointer(byte).read_volatile() != PATTERN }
}
