//! Identity: every byte of a live block says whose it is.
//!
//! A block is filled with a stream of words derived from its [`Identity`] (owner, sequence number,
//! generation) and the word's offset, so a block that two owners were given can't look right to
//! both, as it would if the pattern hung on the size alone. Word `i` of a stream is
//!
//! ```text
//! x = base + i · γ        base = mix(identity), 64 bits; γ odd
//! word = x ⊕ (x >> 32)    a bijection
//! ```
//!
//! Two streams agree at one word with probability 2⁻⁶⁴, at one byte with 2⁻⁸: for a block of very
//! few bytes it is the interval map of [`super::overlap`] that is certain.
//!
//! The arithmetic is additions, shifts and exclusive ors, so that the compiler vectorises it:
//! stamping runs at the speed of memory. It does so once for every processor of the kind, and once
//! more for those that have AVX2 (`wide!`).

use std::fmt;
use std::ops::Range;

/// Who owns a block: packed into 64 bits, because one is kept for every live block.
///
/// | bits | field |
/// |---|---|
/// | 54..64 | owner: the worker that allocated it |
/// | 42..54 | generation: how often the block was resized, modulo 4,096 |
/// | 0..42 | sequence: the block's number among the owner's |
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity(u64);

const SEQUENCE_BITS: u32 = 42;
const GENERATION_BITS: u32 = 12;

/// The most workers whose blocks can be told apart.
pub const MOST_OWNERS: usize = 1 << (64 - SEQUENCE_BITS - GENERATION_BITS);

impl Identity {
    /// The identity of `owner`'s block number `sequence`, never resized.
    pub fn new(owner: usize, sequence: u64) -> Self {
        debug_assert!(owner < MOST_OWNERS && sequence < 1 << SEQUENCE_BITS);
        Self((owner as u64) << (64 - 10) | (sequence & ((1 << SEQUENCE_BITS) - 1)))
    }

    /// The worker that allocated the block.
    pub fn owner(self) -> usize {
        (self.0 >> (SEQUENCE_BITS + GENERATION_BITS)) as usize
    }

    /// The block's sequence number among its owner's.
    pub fn sequence(self) -> u64 {
        self.0 & ((1 << SEQUENCE_BITS) - 1)
    }

    /// How often the block was resized, modulo 4,096.
    pub fn generation(self) -> u64 {
        self.0 >> SEQUENCE_BITS & ((1 << GENERATION_BITS) - 1)
    }

    /// The identity after one more resizing.
    #[must_use]
    pub fn resized(self) -> Self {
        let generation = (self.generation() + 1) & ((1 << GENERATION_BITS) - 1);
        let others = self.0 & !(((1 << GENERATION_BITS) - 1) << SEQUENCE_BITS);
        Self(others | generation << SEQUENCE_BITS)
    }

    /// The identity whose stream has this base.
    fn of_base(base: u64) -> Self {
        // Each step undoes one of `base`, the last first; the factors are the inverses modulo 2^64.
        let mut word = base ^ (base >> 31) ^ (base >> 62);
        word = word.wrapping_mul(0x3196_42b2_d24d_8ec3);
        word = word ^ (word >> 27) ^ (word >> 54);
        word = word.wrapping_mul(0x96de_1b17_3f11_9089);
        word = word ^ (word >> 30) ^ (word >> 60);
        Self(word.wrapping_sub(GAMMA))
    }

    /// The base of the block's stream: a bijective mix (SplitMix64's finaliser), so no two
    /// identities share one.
    #[inline]
    fn base(self) -> u64 {
        let mut word = self.0.wrapping_add(GAMMA);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {}'s block {}", self.owner(), self.sequence())?;
        match self.generation() {
            0 => Ok(()),
            generation => write!(f, " (resized {generation} times)"),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The increment of a stream: odd, so that offsets do not repeat (2⁶⁴ over the golden ratio).
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
const WORD: usize = size_of::<u64>();

#[inline(always)]
fn word(base: u64, index: usize) -> u64 {
    let x = base.wrapping_add((index as u64).wrapping_mul(GAMMA));
    (x ^ (x >> 32)).to_le()
}

/// A byte that is not what its owner wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Where in the block, bytes from its start.
    pub offset: usize,
    /// What was written.
    pub written: u8,
    /// What was read.
    pub read: u8,
    /// How many bytes of the range differ.
    pub differing: usize,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, written, read, differing } = self;
        write!(f, "{differing} bytes differ, the first at offset {offset}: ")?;
        write!(f, "{read:#04x}, was {written:#04x}")
    }
}

/// A function whose body is compiled twice, with and without AVX2.
macro_rules! wide {
    (
        $(#[$doc:meta])*
        pub unsafe fn $name:ident($($argument:ident: $type:ty),*) $(-> $returned:ty)? $body:block
    ) => {
        $(#[$doc])*
        #[inline]
        pub unsafe fn $name($($argument: $type),*) $(-> $returned)? {
            #[inline(always)]
            unsafe fn anywhere($($argument: $type),*) $(-> $returned)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                unsafe fn with_avx2($($argument: $type),*) $(-> $returned)? {
                    // SAFETY: the bytes of the block that the caller names are its own.
                    unsafe { anywhere($($argument),*) }
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has the feature; the rest is the caller's.
                    return unsafe { with_avx2($($argument),*) };
                }
            }
            // SAFETY: the bytes of the block that the caller names are its own.
            unsafe { anywhere($($argument),*) }
        }
    };
}

wide! {
/// Fills a block with its identity's stream.
///
/// # Safety
/// `block..block + size` is writable, and no reference to it exists.
pub unsafe fn stamp(block: *mut u8, size: usize, identity: Identity) {
    let base = identity.base();
    let words = size / WORD;
    let start = block.cast::<u64>();
    for index in 0..words {
        // SAFETY: word `index` lies within `size` bytes; unaligned writes are allowed by the call.
        unsafe { start.add(index).write_unaligned(word(base, index)) };
    }
    let last = word(base, words).to_ne_bytes();
    let rest = size % WORD;
    // SAFETY: the rest ends at `size`; `last` is a local and does not overlap the block.
    unsafe { block.add(words * WORD).copy_from_nonoverlapping(last.as_ptr(), rest) };
}
}

wide! {
/// Compares the first `size` bytes of a block with its identity's stream.
///
/// # Safety
/// `block..block + size` is readable and initialised.
pub unsafe fn verify(block: *const u8, size: usize, identity: Identity) -> Result<(), Mismatch> {
    let base = identity.base();
    let words = size / WORD;
    let start = block.cast::<u64>();
    let mut wrong = 0;
    for index in 0..words {
        // SAFETY: word `index` lies within `size` bytes; unaligned reads are allowed by the call.
        wrong |= unsafe { start.add(index).read_unaligned() } ^ word(base, index);
    }
    let last = word(base, words).to_ne_bytes();
    for (index, expected) in last.iter().enumerate().take(size % WORD) {
        // SAFETY: the rest ends at `size`.
        wrong |= u64::from(unsafe { block.add(words * WORD + index).read() } ^ expected);
    }
    if wrong == 0 {
        return Ok(());
    }
    // SAFETY: the block has `size` bytes, which are the caller's to read.
    Err(unsafe {
        mismatch(block, size, |offset| word(base, offset / WORD).to_ne_bytes()[offset % WORD])
    })
}
}

/// How far into a block its author is looked for, in words.
const FARTHEST: usize = 1 << 12;
/// A block's number is below this, if it is to be believed.
const LIKELY: u64 = 1 << 30;

/// Who has stamped these bytes, by what they are. None if they are too few, not on whole words of a
/// stream, or somebody has written there since.
///
/// Two words in a row tell whether it is a stream; where in it they stand has to be tried, and
/// where owner and number are likely ones is the place, with a chance of one in hundreds that it is
/// another.
///
/// # Safety
/// The bytes are readable. Others may write to them meanwhile.
pub unsafe fn author(bytes: Range<usize>, workers: usize) -> Option<Identity> {
    if bytes.len() < 2 * WORD {
        return None;
    }
    let start = std::ptr::with_exposed_provenance::<[u8; WORD]>(bytes.start);
    // SAFETY: two words are among the bytes, which the caller says are readable; an array of bytes
    // has no alignment.
    let [one, other] = [0, 1].map(|index| unsafe { start.add(index).read_volatile() });
    let x = u64::from_le_bytes(one);
    let x = x ^ (x >> 32);
    if word(x, 1).to_ne_bytes() != other {
        return None;
    }
    let stamped_at =
        |index: usize| Identity::of_base(x.wrapping_sub((index as u64).wrapping_mul(GAMMA)));
    let likely = |one: &Identity| one.owner() < workers && one.sequence() < LIKELY;
    (0..FARTHEST).map(stamped_at).filter(likely).min_by_key(|one| one.sequence())
}

/// Compares a block with zeroes.
///
/// # Safety
/// `block..block + size` is readable and initialised.
pub unsafe fn verify_zero(block: *const u8, size: usize) -> Result<(), Mismatch> {
    let words = size / WORD;
    let start = block.cast::<u64>();
    let mut wrong = 0;
    for index in 0..words {
        // SAFETY: word `index` lies within `size` bytes; unaligned reads are allowed by the call.
        wrong |= unsafe { start.add(index).read_unaligned() };
    }
    for index in words * WORD..size {
        // SAFETY: `index` is below `size`.
        wrong |= u64::from(unsafe { block.add(index).read() });
    }
    if wrong == 0 {
        return Ok(());
    }
    // SAFETY: the block has `size` bytes, which are the caller's to read.
    Err(unsafe { mismatch(block, size, |_| 0) })
}

/// The first byte that differs, found the slow way.
///
/// # Safety
/// `block..block + size` is readable and initialised.
#[cold]
unsafe fn mismatch(block: *const u8, size: usize, expected: impl Fn(usize) -> u8) -> Mismatch {
    let mut found = Mismatch { offset: 0, written: 0, read: 0, differing: 0 };
    for offset in 0..size {
        // SAFETY: `offset` is below `size`.
        let (written, read) = (expected(offset), unsafe { block.add(offset).read() });
        if written != read {
            if found.differing == 0 {
                (found.offset, found.written, found.read) = (offset, written, read);
            }
            found.differing += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamped(size: usize, shift: usize, identity: Identity) -> Vec<u8> {
        let mut bytes = vec![0; shift + size];
        // SAFETY: the range is the vector's.
        unsafe { stamp(bytes.as_mut_ptr().add(shift), size, identity) };
        bytes
    }

    fn check(bytes: &[u8], identity: Identity) -> Result<(), Mismatch> {
        // SAFETY: the range is the slice's.
        unsafe { verify(bytes.as_ptr(), bytes.len(), identity) }
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let mut identity = Identity::new(1023, (1 << 42) - 1);
        for resized in 0..5000u64 {
            assert_eq!(
                (identity.owner(), identity.sequence(), identity.generation()),
                (1023, (1 << 42) - 1, resized % 4096)
            );
            identity = identity.resized();
        }
    }

    #[test]
    fn the_author_of_a_block_is_told_by_its_bytes() {
        let identity = Identity::new(3, 123_456).resized();
        let mut bytes = stamped(4096, 0, identity);
        let start = bytes.as_ptr().expose_provenance();
        // SAFETY: the range is the vector's.
        let author = |from: usize, to: usize| unsafe { author(start + from..start + to, 4) };
        for from in [0, 8, 800, 4080] {
            assert_eq!(author(from, from + 16), Some(identity), "{from}");
        }
        assert_eq!((author(0, 8), author(4, 64)), (None, None));
        bytes[805] ^= 1;
        assert_eq!(author(800, 900), None);
    }

    proptest! {
        #[test]
        fn a_base_is_one_identitys(owner in 0usize..1024, sequence in 0u64..1 << 42) {
            let identity = Identity::new(owner, sequence);
            prop_assert_eq!(Identity::of_base(identity.base()), identity);
        }

        #[test]
        fn any_changed_byte_is_seen(
            size in 1usize..300, shift in 0usize..8,
            at in any::<prop::sample::Index>(), flip in 1u8..,
            owner in 0usize..1024, sequence in 0u64..1 << 42,
        ) {
            let identity = Identity::new(owner, sequence);
            let mut bytes = stamped(size, shift, identity);
            prop_assert_eq!(check(&bytes[shift..], identity), Ok(()));
            let at = at.index(size);
            bytes[shift + at] ^= flip;
            let read = bytes[shift + at];
            let seen = check(&bytes[shift..], identity);
            prop_assert_eq!(
                seen, Err(Mismatch { offset: at, written: read ^ flip, read, differing: 1 })
            );
        }

        #[test]
        fn a_prefix_verifies_alone(size in 0usize..300, kept in 0usize..300) {
            let identity = Identity::new(3, 9).resized();
            let bytes = stamped(size, 0, identity);
            prop_assert_eq!(check(&bytes[..kept.min(size)], identity), Ok(()));
        }

        #[test]
        fn streams_of_two_owners_differ_in_nearly_every_word(
            one in any::<(u16, u32)>(), other in any::<(u16, u32)>(), offset in 0usize..16,
        ) {
            let [one, other] = [one, other]
                .map(|(owner, sequence)| Identity::new(usize::from(owner) % 1024, sequence.into()));
            prop_assume!(one != other || offset != 0);
            let (one, other) = (stamped(256, 0, one), stamped(256, 0, other));
            let pairs = one.chunks(8).zip(other[offset * 8..].chunks(8));
            let agreeing = pairs.filter(|(a, b)| a == b);
            prop_assert_eq!(agreeing.count(), 0);
        }

        #[test]
        fn a_byte_that_is_not_zero_is_seen(
            size in 1usize..300, at in any::<prop::sample::Index>(),
        ) {
            let mut bytes = vec![0u8; size];
            // SAFETY: the range is the vector's.
            prop_assert_eq!(unsafe { verify_zero(bytes.as_ptr(), size) }, Ok(()));
            let at = at.index(size);
            bytes[at] = 0x80;
            // SAFETY: the range is the vector's.
            let seen = unsafe { verify_zero(bytes.as_ptr(), size) };
            prop_assert_eq!(seen.unwrap_err().offset, at);
        }
    }
}
