//! Overlap: no two live blocks share a byte.
//!
//! A map of all addresses, one bit for each granule of 8 bytes, set while a live block covers the
//! granule. It is a tree of three levels, of which the lower two are made as addresses come up:
//!
//! ```text
//! address   47 bits = | 12: top | 11: middle | 24: leaf |
//! leaf      16 MiB of addresses in 256 KiB of bits; its pages become resident when written to
//! word      512 bytes of addresses: most blocks are entered by one atomic instruction, or two
//! ```
//!
//! Who enters a granule that is set already shares it with a live block. Blocks that begin or end
//! within a granule are rare: allocators keep to multiples of 8 and say so by `malloc_usable_size`.
//! The parts of granules that they cover stand in an ordered map, the pieces:
//!
//! | granule | bit | pieces |
//! |---|---|---|
//! | free | clear | none in it |
//! | covered by one block | set | none in it |
//! | covered in part | clear | those of one block, or of several that share no byte |
//!
//! Both are looked at by whoever enters anything, after his own entry: of two who enter what
//! overlaps, the second to enter finds the first.
//!
//! Invariants: a range is entered after the allocator has returned the block and taken out before
//! it is told to free it, with the same bounds.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of addresses to a bit.
const GRANULE: usize = 8;
const WORD_BITS: usize = 64;
const LEAF_BITS: u32 = 24;
const MIDDLE_BITS: u32 = 11;
const TOP_BITS: u32 = 12;
/// The first address that the tree has no room for: the end of what the kernel gives a process that
/// does not ask for more.
const END: usize = 1 << (LEAF_BITS + MIDDLE_BITS + TOP_BITS);

/// All zero is a valid value of each level: nothing is live.
struct Leaf([AtomicU64; (1 << LEAF_BITS) / GRANULE / WORD_BITS]);
struct Middle([AtomicPtr<Leaf>; 1 << MIDDLE_BITS]);
struct Top([AtomicPtr<Middle>; 1 << TOP_BITS]);

/// Parts of granules: first byte, and the one behind the last. Apart from each other.
type Pieces = BTreeMap<usize, usize>;

/// The live blocks of all workers.
pub struct Overlap {
    top: Box<Top>,
    pieces: Mutex<Pieces>,
    /// How many pieces there are, so that whoever enters whole granules need not lock to see that
    /// there is none.
    count: AtomicUsize,
}

/// Bytes that a block shares with a live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The first.
    pub start: usize,
    /// The one behind the last, as far as was looked.
    pub end: usize,
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}

/// A block in the map's terms.
struct Parts {
    /// Numbers of the granules that it covers.
    granules: Range<usize>,
    /// What it covers of other granules.
    pieces: [Option<(usize, usize)>; 2],
}

impl Parts {
    /// A block of no bytes counts as one byte: its address must be its own.
    fn of(start: usize, bytes: usize) -> Self {
        let end = start.saturating_add(bytes.max(1));
        if end > END {
            // Where the tree does not reach, it is all one piece.
            return Self { granules: 0..0, pieces: [Some((start, end)), None] };
        }
        let (first, last) = (start.div_ceil(GRANULE), end / GRANULE);
        if first > last {
            // Within one granule, at neither of its ends.
            return Self { granules: 0..0, pieces: [Some((start, end)), None] };
        }
        let (from, to) = (first * GRANULE, last * GRANULE);
        let piece = |start, end| (start < end).then_some((start, end));
        Self { granules: first..last, pieces: [piece(start, from), piece(to, end)] }
    }

    /// The words of its granules, and which of their bits.
    fn words(&self) -> impl Iterator<Item = (usize, u64)> {
        let (mut from, last) = (self.granules.start, self.granules.end);
        std::iter::from_fn(move || {
            if from >= last {
                return None;
            }
            let (word, low) = (from / WORD_BITS, from % WORD_BITS);
            let bits = (last - from).min(WORD_BITS - low);
            from += bits;
            Some((word, u64::MAX >> (WORD_BITS - bits) << low))
        })
    }

    fn bytes(&self) -> Range<usize> {
        self.granules.start * GRANULE..self.granules.end * GRANULE
    }
}

impl Default for Overlap {
    fn default() -> Self {
        Self { top: zeroed(), pieces: Mutex::default(), count: AtomicUsize::new(0) }
    }
}

/// A level with nothing in it.
///
/// Private, and called for [`Leaf`], [`Middle`] and [`Top`] alone: all zero is a valid value of
/// these.
fn zeroed<T>() -> Box<T> {
    // SAFETY: T is an array of atomic integers or of atomic pointers, for which zeroes are 0 or
    // null.
    unsafe { Box::new_zeroed().assume_init() }
}

/// What the pointer leads to, made if there is nothing yet. Lives as long as the map.
fn child<T>(slot: &AtomicPtr<T>) -> &T {
    // Acquire: pairs with the exchange of who made it, so that its zeroes are seen.
    let mut found = slot.load(Ordering::Acquire);
    if found.is_null() {
        let made = Box::into_raw(zeroed::<T>());
        // AcqRel: publishes the zeroes; on failure acquire, as above.
        match slot.compare_exchange(null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => found = made,
            Err(other) => {
                found = other;
                // SAFETY: `made` is of this function's own box, and nobody has seen it.
                drop(unsafe { Box::from_raw(made) });
            }
        }
    }
    // SAFETY: a slot that is not null holds a box's pointer, which is freed by the map's drop
    // alone.
    unsafe { &*found }
}

/// As [`child`], where there is one.
fn existing<T>(slot: &AtomicPtr<T>) -> Option<&T> {
    // Acquire: pairs with the exchange of who made it, so that its zeroes are seen.
    // SAFETY: a slot is null or holds a box's pointer, which is freed by the map's drop alone.
    unsafe { slot.load(Ordering::Acquire).as_ref() }
}

impl Overlap {
    /// The word of a number, below `END`.
    #[inline]
    fn word(&self, number: usize) -> &AtomicU64 {
        let address = number * WORD_BITS * GRANULE;
        let middle = child(&self.top.0[address >> (LEAF_BITS + MIDDLE_BITS)]);
        let leaf = child(&middle.0[address >> LEAF_BITS & ((1 << MIDDLE_BITS) - 1)]);
        &leaf.0[number % leaf.0.len()]
    }

    fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `f`, which forks, while nobody is in the middle of the pieces, so that the child's are
    /// whole. The bits are whole at any time.
    pub fn held<R>(&self, f: impl FnOnce() -> R) -> R {
        let guard = self.lock();
        let result = f();
        drop(guard);
        result
    }

    /// Enters a live block.
    ///
    /// # Errors
    /// Bytes that it shares with a live block; the map is then of no further use.
    pub fn insert(&self, start: usize, bytes: usize) -> Result<(), Shared> {
        let parts = Parts::of(start, bytes);
        for (number, mask) in parts.words() {
            // SeqCst: of this and the load of the count below, and their opposites in
            // `insert_piece`, one order is seen by all: whoever enters second finds the other.
            let met = self.word(number).fetch_or(mask, Ordering::SeqCst) & mask;
            if met != 0 {
                return Err(granules(number, met));
            }
        }
        for (start, end) in parts.pieces.into_iter().flatten() {
            self.insert_piece(start, end)?;
        }
        // SeqCst: as above.
        if self.count.load(Ordering::SeqCst) != 0
            && let Some(shared) = meets(&self.lock(), parts.bytes())
        {
            return Err(shared);
        }
        Ok(())
    }

    #[cold]
    fn insert_piece(&self, start: usize, end: usize) -> Result<(), Shared> {
        let mut pieces = self.lock();
        if let Some(shared) = meets(&pieces, start..end) {
            return Err(shared);
        }
        pieces.insert(start, end);
        drop(pieces);
        // SeqCst: as in `insert`.
        self.count.fetch_add(1, Ordering::SeqCst);
        if end > END {
            return self.beyond(start..END.max(start));
        }
        let granule = start / GRANULE;
        let bit = 1 << (granule % WORD_BITS);
        let number = granule / WORD_BITS;
        // SeqCst: as in `insert`.
        match self.word(number).load(Ordering::SeqCst) & bit {
            0 => Ok(()),
            met => Err(granules(number, met)),
        }
    }

    /// Looks through the tree under a piece that reaches beyond it.
    fn beyond(&self, bytes: Range<usize>) -> Result<(), Shared> {
        let below = Parts::of(bytes.start, bytes.len());
        let mut words = below.words().filter(|_| !bytes.is_empty());
        words.try_for_each(|(number, mask)| {
            // SeqCst: as in `insert`.
            match self.word(number).load(Ordering::SeqCst) & mask {
                0 => Ok(()),
                met => Err(granules(number, met)),
            }
        })
    }

    /// Takes a block out, which was entered with the same bounds.
    ///
    /// # Errors
    /// It was not, and the map is of no further use.
    pub fn remove(&self, start: usize, bytes: usize) -> Result<(), NotEntered> {
        let parts = Parts::of(start, bytes);
        for (number, mask) in parts.words() {
            // AcqRel: whoever is given the bytes next sees them free, by the way the allocator
            // hands them on.
            if self.word(number).fetch_and(!mask, Ordering::AcqRel) & mask != mask {
                return Err(NotEntered);
            }
        }
        for (start, end) in parts.pieces.into_iter().flatten() {
            if self.lock().remove(&start) != Some(end) {
                return Err(NotEntered);
            }
            // Relaxed: a count that is too high costs a look.
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether nothing is live, as far as the calling thread has been told.
    pub fn is_empty(&self) -> bool {
        self.lowest().is_none()
    }

    /// The lowest address that is live, to within a granule, as far as the calling thread has been
    /// told.
    pub fn lowest(&self) -> Option<usize> {
        let piece = self.lock().keys().next().copied();
        self.lowest_granule().into_iter().chain(piece).min()
    }

    fn lowest_granule(&self) -> Option<usize> {
        for (upper, middle) in self.top.0.iter().enumerate() {
            let leaves = existing(middle).map_or(&[][..], |middle| &middle.0);
            for (lower, leaf) in leaves.iter().enumerate() {
                let words = existing(leaf).map_or(&[][..], |leaf| &leaf.0);
                // Relaxed: all who entered anything have met the caller since.
                let set = |word: &AtomicU64| word.load(Ordering::Relaxed) != 0;
                if let Some(number) = words.iter().position(set) {
                    let start = (upper << (LEAF_BITS + MIDDLE_BITS)) + (lower << LEAF_BITS);
                    let bits = words[number].load(Ordering::Relaxed);
                    let first = number * WORD_BITS + bits.trailing_zeros() as usize;
                    return Some(start + first * GRANULE);
                }
            }
        }
        None
    }
}

impl fmt::Debug for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlap").field("lowest", &self.lowest()).finish_non_exhaustive()
    }
}

/// A block is taken out that is not in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotEntered;

/// The piece that has a byte of these, if one has.
fn meets(pieces: &Pieces, bytes: Range<usize>) -> Option<Shared> {
    // The last piece that begins before the end is the only one that can reach so far.
    let (&start, &end) = pieces.range(..bytes.end).next_back()?;
    (end > bytes.start).then(|| Shared { start: start.max(bytes.start), end: end.min(bytes.end) })
}

/// The first granules in a row of those that are set in a word.
fn granules(word: usize, set: u64) -> Shared {
    let first = set.trailing_zeros() as usize;
    let count = (set >> first).trailing_ones() as usize;
    let start = (word * WORD_BITS + first) * GRANULE;
    Shared { start, end: start + count * GRANULE }
}

impl Drop for Overlap {
    fn drop(&mut self) {
        for middle in &mut self.top.0 {
            let middle = *middle.get_mut();
            if middle.is_null() {
                continue;
            }
            // SAFETY: it is of a box that `child` made, and with the map borrowed mutably nobody
            // else looks.
            let mut middle = unsafe { Box::from_raw(middle) };
            for leaf in middle.0.iter_mut().map(AtomicPtr::get_mut).filter(|leaf| !leaf.is_null()) {
                // SAFETY: it is of a box that `child` made, and the map is borrowed mutably.
                drop(unsafe { Box::from_raw(*leaf) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEAF: usize = 1 << LEAF_BITS;

    /// Around some leaves' borders, and across many words, at every byte or as allocators have
    /// them.
    fn block() -> impl Strategy<Value = (usize, usize)> {
        let start = (0usize..4, 0usize..400).prop_map(|(k, d)| (k + 16) * LEAF - 200 + d);
        let size = prop_oneof![0usize..40, 0usize..400, LEAF - 20..3 * LEAF];
        let odd = (start, size);
        prop_oneof![odd.clone(), odd.prop_map(|(start, size)| (start & !15, size & !7))]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn agrees_with_brute_force(
            steps in prop::collection::vec((block(), any::<prop::sample::Index>(), 0u8..4), 1..80),
        ) {
            let map = Overlap::default();
            let mut live: Vec<(usize, usize)> = Vec::new();
            for ((start, size), pick, what) in steps {
                if what == 0 && !live.is_empty() {
                    let (start, size) = live.swap_remove(pick.index(live.len()));
                    prop_assert_eq!(map.remove(start, size), Ok(()));
                    continue;
                }
                let end = start + size.max(1);
                let met = |from: usize, to: usize| {
                    live.iter().any(|&(s, b)| s < to && from < s + b.max(1))
                };
                match map.insert(start, size) {
                    Ok(()) => {
                        prop_assert!(!met(start, end), "missed");
                        live.push((start, size));
                    }
                    Err(shared) => {
                        prop_assert!(start < shared.end && shared.start < end, "{}", shared);
                        prop_assert!(met(shared.start, shared.end), "{} was not met", shared);
                        // The map is spent: a part of the block may be in.
                        return Ok(());
                    }
                }
            }
            for (start, size) in live {
                prop_assert!(!map.is_empty());
                prop_assert_eq!(map.remove(start, size), Ok(()));
            }
            prop_assert!(map.is_empty());
        }
    }

    #[test]
    fn a_large_block_is_met_in_its_middle_and_at_its_ends() {
        let start = 10 * LEAF + 32;
        let bytes = 3 * LEAF;
        for at in [start, start + LEAF, start + 2 * LEAF + 5, start + bytes - 1] {
            for (first, second) in [((start, bytes), (at, 1)), ((at, 1), (start, bytes))] {
                let map = Overlap::default();
                map.insert(first.0, first.1).unwrap();
                assert!(map.insert(second.0, second.1).is_err(), "{first:?} {second:?}");
            }
        }
        let map = Overlap::default();
        map.insert(start, bytes).unwrap();
        map.insert(start - 1, 1).unwrap();
        map.insert(start + bytes, 1).unwrap();
    }

    #[test]
    fn what_is_beyond_the_tree_is_met_all_the_same() {
        for (first, second) in [
            ((END + 64, 64), (END + 127, 1)),
            ((END - 64, 128), (END - 8, 8)),
            ((END - 8, 8), (END - 64, 128)),
            ((usize::MAX - 64, 64), (usize::MAX - 1, 1)),
        ] {
            let map = Overlap::default();
            map.insert(first.0, first.1).unwrap();
            assert!(map.insert(second.0, second.1).is_err(), "{first:x?} {second:x?}");
        }
        let map = Overlap::default();
        map.insert(END - 64, 64).unwrap();
        map.insert(END, 64).unwrap();
        assert_eq!((map.remove(END - 64, 64), map.remove(END, 64)), (Ok(()), Ok(())));
        assert!(map.is_empty());
    }

    #[test]
    fn what_is_not_in_can_not_be_taken_out() {
        let map = Overlap::default();
        map.insert(3 * LEAF, 104).unwrap();
        map.insert(4096, 104).unwrap();
        assert_eq!(map.lowest(), Some(4096));
        assert_eq!(map.remove(8192, 8), Err(NotEntered));
        assert_eq!(map.remove(8192, 3), Err(NotEntered));
        assert_eq!(map.remove(4096, 104), Ok(()));
        assert_eq!(map.remove(4096, 104), Err(NotEntered));
        assert_eq!(map.lowest(), Some(3 * LEAF));
    }

    #[test]
    fn blocks_of_no_bytes_are_distinct() {
        let map = Overlap::default();
        map.insert(4096, 0).unwrap();
        assert_eq!(map.lowest(), Some(4096));
        assert_eq!(map.insert(4096, 0), Err(Shared { start: 4096, end: 4097 }));
    }

    #[test]
    fn threads_that_insert_one_range_are_not_both_believed() {
        // Steps that end within granules, and such as do not.
        for step in [16, 13, 3] {
            for round in 0..50 {
                let map = Overlap::default();
                let start = (100 + round) * LEAF - 64;
                let believed: usize = std::thread::scope(|scope| {
                    let threads: Vec<_> = (0..4)
                        .map(|thread| {
                            let map = &map;
                            scope.spawn(move || map.insert(start + thread * step, 100).is_ok())
                        })
                        .collect();
                    threads.into_iter().map(|t| usize::from(t.join().unwrap())).sum()
                });
                assert!(believed <= 1, "{believed} of four overlapping blocks were believed");
            }
        }
    }
}
