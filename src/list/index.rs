//! The free lists: one for every block size, and a bitmap of the sizes that have a block.
//!
//! ```text
//!  top    1 word      bit i: middle[i] is not 0
//!  middle 64 words    bit j of word i: leaf[64 i + j] is not 0
//!  leaf   4,096 words bit k of word w: heads[64 w + k] is not empty
//!  heads  262,144     class c: the last freed block of 16 (c + 1) bytes
//! ```
//!
//! The smallest size with a block that fits is three bit scans away, however many blocks are free:
//! best fit is exact, and the list's head is the block of its size that was listed last (LIFO):
//! freed, or split off another. The table is 2 MiB of address space; only the pages of the sizes in
//! use are ever touched.
//!
//! Invariants: a bit is set exactly when the list below it is not empty; a list holds free blocks
//! of exactly its size, linked both ways, and `back` of its head is null.

use core::ptr::NonNull;

use super::header::{Block, Header, Links, MAX_BLOCK, Seal, Status};

const CLASSES: usize = MAX_BLOCK / 16;

/// The tables. All zero is the empty index.
#[repr(C)]
pub struct Tables {
    top: u64,
    middle: [u64; 64],
    leaf: [u64; 4096],
    heads: [Option<Block>; CLASSES],
}

/// The lists, over tables that the heap has mapped.
#[derive(Debug)]
pub struct Index {
    tables: NonNull<Tables>,
}

impl Index {
    /// An index over `tables`.
    ///
    /// # Safety
    /// `tables` is mapped, zeroed, and used by nobody else as long as the index lives.
    pub unsafe fn new(tables: NonNull<Tables>) -> Index {
        Index { tables }
    }

    /// The tables, to give them back.
    pub fn into_tables(self) -> *mut Tables {
        self.tables.as_ptr()
    }

    fn tables(&mut self) -> &mut Tables {
        // SAFETY: `new`: the tables are mapped, initialised and this index's own; `&mut self` makes
        // the reference unique.
        unsafe { self.tables.as_mut() }
    }

    /// The last freed block of exactly `size` bytes.
    pub fn head(&mut self, size: usize) -> Option<Block> {
        self.tables().heads[class(size)]
    }

    /// The smallest size of at least `size` bytes that has a free block.
    pub fn smallest_fit(&mut self, size: usize) -> Option<usize> {
        let tables = self.tables();
        let wanted = class(size);
        let (word, bit) = (wanted / 64, wanted % 64);
        let here = tables.leaf[word] & (u64::MAX << bit);
        if here != 0 {
            return Some(size_of_class(word * 64 + here.trailing_zeros() as usize));
        }
        let word = next_word(tables, word)?;
        Some(size_of_class(word * 64 + tables.leaf[word].trailing_zeros() as usize))
    }

    /// The largest size that has a free block.
    pub fn largest(&mut self) -> Option<usize> {
        let tables = self.tables();
        let highest = |word: u64| word.checked_ilog2().map(|bit| bit as usize);
        let i = highest(tables.top)?;
        let w = i * 64 + highest(tables.middle[i])?;
        Some(size_of_class(w * 64 + highest(tables.leaf[w])?))
    }

    /// Puts `block` at the head of the list of its size, and writes its header. An error is the old
    /// head that was no longer believable: its list is given up, since nobody knows what it links
    /// to.
    pub fn push(
        &mut self,
        seal: Seal,
        block: Block,
        size: usize,
        before: usize,
        status: Status,
    ) -> Result<(), Block> {
        let mut next = self.head(size);
        let mut result = Ok(());
        if let Some(head) = next {
            match seal.read(head) {
                Some((header, links)) if header.status.is_free() => {
                    relink(seal, head, header, Links { next: links.next, back: Some(block) });
                }
                _ => (next, result) = (None, Err(head)),
            }
        }
        seal.write_linked(block, size, before, status, Links { next, back: None });
        self.set_head(size, Some(block));
        result
    }

    /// Takes `block`, of `size` bytes, out of its list; its header is believed and stays as it is.
    /// An error is a neighbour in the list that was not believable; the list ends before it.
    pub fn unlink(
        &mut self,
        seal: Seal,
        block: Block,
        size: usize,
        links: Links,
    ) -> Result<(), Block> {
        let mut result = Ok(());
        let mut next = links.next;
        if let Some(after) = next {
            match seal.read(after) {
                Some((header, neighbour)) if neighbour.back == Some(block) => {
                    relink(seal, after, header, Links { next: neighbour.next, back: links.back });
                }
                _ => (next, result) = (None, Err(after)),
            }
        }
        match links.back {
            // In a list that was given up, a block without `back` is not the head: leave the head
            // be.
            None if self.head(size) == Some(block) => self.set_head(size, next),
            None => {}
            Some(back) => match seal.read(back) {
                Some((header, neighbour)) if neighbour.next == Some(block) => {
                    relink(seal, back, header, Links { next, back: neighbour.back });
                }
                _ => result = Err(back),
            },
        }
        result
    }

    /// Gives up the list of `size`, whose head is not believable.
    pub fn give_up(&mut self, size: usize) {
        self.set_head(size, None);
    }

    /// Puts the head of `size`'s list in place, and the bits above it.
    fn set_head(&mut self, size: usize, head: Option<Block>) {
        let tables = self.tables();
        let class = class(size);
        tables.heads[class] = head;
        let (w, i) = (class / 64, class / 4096);
        put(&mut tables.leaf[w], class % 64, head.is_some());
        put(&mut tables.middle[i], w % 64, tables.leaf[w] != 0);
        put(&mut tables.top, i, tables.middle[i] != 0);
    }

    /// Calls `f` with every list's size and head, smallest first.
    pub fn for_each_list(&mut self, mut f: impl FnMut(usize, Block)) {
        let mut next = Some(16);
        while let Some(size) = next.and_then(|size| self.smallest_fit(size)) {
            if let Some(head) = self.head(size) {
                f(size, head);
            }
            next = (size < MAX_BLOCK).then_some(size + 16);
        }
    }

    /// Whether every bit says what is below it. For `check`.
    pub fn bits_agree(&mut self) -> bool {
        let tables = self.tables();
        let bit = |word: u64, bit: usize| word >> bit & 1 == 1;
        let leaves = (0..4096).all(|w| {
            let heads =
                (0..64).all(|k| bit(tables.leaf[w], k) == tables.heads[w * 64 + k].is_some());
            heads && bit(tables.middle[w / 64], w % 64) == (tables.leaf[w] != 0)
        });
        leaves && (0..64).all(|i| bit(tables.top, i) == (tables.middle[i] != 0))
    }
}

fn relink(seal: Seal, block: Block, header: Header, links: Links) {
    seal.write_linked(block, header.size as usize, header.before as usize, header.status, links);
}

fn class(size: usize) -> usize {
    size / 16 - 1
}

fn size_of_class(class: usize) -> usize {
    (class + 1) * 16
}

/// The first leaf word behind `word` that is not 0.
fn next_word(tables: &Tables, word: usize) -> Option<usize> {
    let (i, j) = (word / 64, word % 64);
    // `<< 1 <<` because a shift by 64 is none.
    let here = tables.middle[i] & (u64::MAX << j << 1);
    if here != 0 {
        return Some(i * 64 + here.trailing_zeros() as usize);
    }
    let above = tables.top & (u64::MAX << i << 1);
    if above == 0 {
        return None;
    }
    let i = above.trailing_zeros() as usize;
    Some(i * 64 + tables.middle[i].trailing_zeros() as usize)
}

fn put(word: &mut u64, bit: usize, value: bool) {
    *word = *word & !(1 << bit) | (value as u64) << bit;
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::os::{Mmap, Os};
    use std::collections::BTreeMap;

    /// Random heads set and cleared; every question answered as a sorted map answers it.
    #[test]
    fn the_bitmap_agrees_with_a_sorted_map() {
        let tables = Mmap.map(size_of::<Tables>().next_multiple_of(4096));
        let tables = NonNull::new(tables.cast()).expect("memory for the tables");
        // SAFETY: freshly mapped, zeroed, ours alone; unmapped never, the test process ends soon.
        let mut index = unsafe { Index::new(tables) };
        let mut model = BTreeMap::new();
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        for step in 0..20_000 {
            // Sizes crowd at the ends of words and levels, where the shifts are.
            let near = [16, 1024, 65_536, 1 << 20, MAX_BLOCK][random(5)];
            let size = (near + random(8) * 16).saturating_sub(64).clamp(16, MAX_BLOCK);
            if random(2) == 0 {
                // SAFETY: never dereferenced: the index stores heads and does not read them here.
                let block = unsafe { Block::at((size as *mut u8).wrapping_add(step << 32)) };
                index.set_head(size, Some(block));
                model.insert(size, block);
            } else {
                index.set_head(size, None);
                model.remove(&size);
            }
            let from = (near + random(8) * 16).saturating_sub(64).clamp(16, MAX_BLOCK);
            assert_eq!(index.smallest_fit(from), model.range(from..).next().map(|(size, _)| *size));
            assert_eq!(index.largest(), model.last_key_value().map(|(size, _)| *size));
            assert_eq!(index.head(size), model.get(&size).copied());
        }
        assert!(index.bits_agree());
        let mut lists = Vec::new();
        index.for_each_list(|size, head| lists.push((size, head)));
        assert_eq!(lists, model.into_iter().collect::<Vec<_>>());
    }
}
