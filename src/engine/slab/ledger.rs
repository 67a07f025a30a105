//! The ledger: what is true of every block of a slab, kept apart from the blocks.
//!
//! An entry is four bytes on one cache line: a 16-bit word and two bytes.
//!
//! *local* is written by the slab's owner alone, by plain stores:
//!
//! | local | means | becomes |
//! |---|---|---|
//! | 0 | uncarved: never allocated since the slab was made | free, when the owner carves it |
//! | 1..=8192 | free; the next free block's number, counted from 1 | live, at its allocation |
//! | [`END`] | free, the last of its list. As a signed number it leads to an entry in the header that always has its returned bit set | live |
//! | [`WAITING`] | freed, in the quarantine | live, for the free that ends the wait |
//! | [`LIVE`] | allocated | free, by the owner: at its free, or when it sweeps another's |
//!
//! *remote* is one bit and a count:
//!
//! | remote | means | becomes |
//! |---|---|---|
//! | `0nnn` | nothing returned; taken back n times | `1nnn`, by one compare-and-exchange of whoever frees |
//! | `1nnn` | returned: freed by a thread that is neither the owner nor the biased freer | `0nnn` + 1, by the owner alone |
//!
//! *biased* is for one thread, which the slab names: the first other that freed there. Since nobody
//! else sets it, it needs no exchange:
//!
//! | biased | means | becomes |
//! |---|---|---|
//! | `00` | nothing returned | `80`, by a plain store of the biased freer |
//! | `80` | returned: freed by the biased freer | `00`, by the owner alone |
//!
//! So the free list runs through *local*, and no link ever stands in user memory: nothing that a
//! program writes can bend it, and a free touches no line of the block.
//!
//! Which race each part closes, and every ordering: [`remote`](super::remote).

use crate::sync::fault::{Fault, planted, unless};
use crate::sync::{AtomicU8, AtomicU16, Ordering, const_unless_loom};

/// *local* of a free block that is the last of its list.
pub const END: u16 = 0xFFFD;
/// *local* of a block in the quarantine.
pub const WAITING: u16 = 0xFFFE;
/// *local* of an allocated block.
pub const LIVE: u16 = 0xFFFF;
/// *local* of a block that was never allocated.
pub const UNCARVED: u16 = 0;

/// The bit of *remote*, and of *biased*, that says: returned.
const RETURNED: u8 = 0x80;

/// The same two bits in the 16-bit word that the two bytes make.
#[cfg(all(not(loom), target_arch = "x86_64"))]
pub const MARKS: u16 = 0x8080;
/// Bytes from an entry's start to that word.
#[cfg(all(not(loom), target_arch = "x86_64"))]
pub const MARKS_AT: usize = core::mem::offset_of!(Entry, biased);

/// Entries that a sweep looks at together: a cache line of them, outside loom.
pub const GROUP: usize = if cfg!(loom) { 1 } else { 16 };

/// One block's entry. All zero is a valid one: uncarved, never taken back.
#[repr(C)]
#[derive(Debug)]
pub struct Entry {
    local: AtomicU16,
    biased: AtomicU8,
    remote: AtomicU8,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Entry>() == 4 && core::mem::offset_of!(Entry, biased) == 2);

/// The marks of an entry that its owner has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    remote: bool,
    biased: bool,
}

impl Marks {
    /// How many frees set them.
    #[inline(always)]
    pub fn count(self) -> usize {
        usize::from(self.remote) + usize::from(self.biased)
    }

    /// One of them, if there is one.
    pub fn first(self) -> Marks {
        Marks { biased: self.biased && !self.remote, ..self }
    }
}

/// Whose free it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freer {
    /// The one heap's that the slab is biased to.
    Biased,
    /// Any other's but the owner.
    Other,
}

/// What a thread that is not the owner came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The free has taken effect.
    Done,
    /// Something changed between the look and the mark: look the block up again.
    Again,
    /// The block is not live.
    Rejected,
}

impl Entry {
    const_unless_loom! {
        /// An entry of an uncarved block. Outside loom zeroed memory is as good.
        pub fn new() -> Entry {
            Entry {
                local: AtomicU16::new(UNCARVED),
                biased: AtomicU8::new(0),
                remote: AtomicU8::new(0),
            }
        }

        /// An entry of no block, whose returned bit is set and stays so: what [`END`] names.
        pub fn sentinel() -> Entry {
            Entry {
                local: AtomicU16::new(END),
                biased: AtomicU8::new(0),
                remote: AtomicU8::new(RETURNED),
            }
        }
    }

    /// *local*. What it means to another thread than the owner: see the orderings above.
    #[inline(always)]
    pub fn local(&self) -> u16 {
        self.local.load(Ordering::Relaxed)
    }

    /// *local*, read by its only writer.
    ///
    /// # Safety
    /// The calling thread owns the slab, and the block is not in the quarantine's hands.
    #[inline(always)]
    pub unsafe fn local_as_owner(&self) -> u16 {
        #[cfg(not(loom))]
        // SAFETY: nobody writes at the same time: the only writer is here. A plain load, because
        // the compiler folds that into the comparison.
        return unsafe { self.local.as_ptr().read() };
        #[cfg(loom)]
        return self.local();
    }

    /// The owner's store. The quarantine's too, of a block that is live.
    #[inline(always)]
    pub fn set_local(&self, value: u16) {
        self.local.store(value, Ordering::Relaxed);
    }

    /// Whether it is marked.
    #[inline(always)]
    pub fn returned(&self) -> bool {
        (self.remote.load(Ordering::Relaxed) | self.biased.load(Ordering::Relaxed)) & RETURNED != 0
    }

    /// The marks, for the owner, who will act on them: pairs with the stores in
    /// [`mark`](Self::mark), so that what the freeing thread did to the block is over.
    #[inline(always)]
    pub fn marks(&self) -> Marks {
        let acquire = unless(Fault::SeenRelaxed, Ordering::Acquire);
        Marks {
            remote: self.remote.load(acquire) & RETURNED != 0,
            biased: self.biased.load(acquire) & RETURNED != 0,
        }
    }

    /// Whether the biased freer's mark is there: for another that has just set its own, behind a
    /// full fence.
    pub fn is_pair(&self) -> bool {
        self.biased.load(Ordering::Relaxed) & RETURNED != 0
    }

    /// Whether both marks were set at one moment, for a thread that is not the owner: two frees,
    /// since the block was allocated last. Acquire: what is read next is not older. *remote* is the
    /// same before and after, count and all, so nobody took a mark back meanwhile.
    pub fn was_freed_twice(&self) -> bool {
        let remote = self.remote.load(Ordering::Acquire);
        let biased = self.biased.load(Ordering::Acquire);
        let same = planted(Fault::PairAcrossLives) || self.remote.load(Ordering::Relaxed) == remote;
        remote & biased & RETURNED != 0 && same
    }

    /// The free of a thread that is not the owner. `still` is asked between look and mark whether
    /// the ledger is still that of the block's slab.
    #[inline]
    pub fn mark(&self, by: Freer, still: impl FnOnce() -> bool) -> Mark {
        // Acquire: pairs with the owner's release in `clear` and `bump`. Who sees what a
        // taking-back left sees that the block was free then.
        let acquire = unless(Fault::MarkAcquiresNothing, Ordering::Acquire);
        let biased = self.biased.load(acquire);
        let remote = self.remote.load(acquire);
        if (remote | biased) & RETURNED != 0 {
            return if still() { Mark::Rejected } else { Mark::Again };
        }
        let live = self.local() == LIVE || planted(Fault::MarkBlind);
        if !still() {
            return Mark::Again;
        }
        if !live {
            return Mark::Rejected;
        }
        // Release: what this thread did to the block is over when the owner sees the bit.
        let release = unless(Fault::MarkReleasesNothing, Ordering::Release);
        if by == Freer::Biased {
            // Clear it was, and nobody else sets it.
            self.biased.store(RETURNED, release);
            return Mark::Done;
        }
        let marked = remote | RETURNED;
        if planted(Fault::MarkStored) {
            self.remote.store(marked, Ordering::Release);
            return Mark::Done;
        }
        let both = unless(Fault::MarkReleasesNothing, Ordering::AcqRel);
        match self.remote.compare_exchange(remote, marked, both, Ordering::Relaxed) {
            Ok(_) => Mark::Done,
            Err(_) => Mark::Again,
        }
    }

    /// The owner clears marks that it has seen, and counts. Release: pairs with the acquire in
    /// `mark`. Plain stores, not exchanges: while a bit is set nobody else writes to its byte.
    #[inline]
    pub fn clear(&self, marks: Marks) {
        let release = unless(Fault::TakeBackRelaxed, Ordering::Release);
        if marks.remote {
            self.remote.store(counted(self.remote.load(Ordering::Relaxed)), release);
        }
        if marks.biased {
            self.biased.store(0, release);
        }
    }

    /// The owner ends the entry's use: counts, whatever the bits say, and clears them; returns how
    /// many were set. An exchange, since a mark may come at any moment up to it. The biased freer's
    /// may come later too: then it stays, for whoever has the slab next.
    pub fn bump(&self) -> usize {
        let marks = Marks { remote: false, ..self.marks() };
        self.clear(marks);
        let seen = self.remote.load(Ordering::Relaxed);
        let next = counted(seen);
        if planted(Fault::BumpStored) {
            self.remote.store(next, Ordering::Release);
            return usize::from(seen & RETURNED != 0);
        }
        // The count is the owner's to change, so only the bit can differ from what was seen.
        let remote = self.remote.swap(next, Ordering::AcqRel) & RETURNED != 0;
        Marks { remote, ..marks }.count()
    }
}

/// *remote* after another taking-back: the bit is clear, the count one more.
#[inline(always)]
fn counted(remote: u8) -> u8 {
    remote.wrapping_add(u8::from(!planted(Fault::Uncounted))) & !RETURNED
}

/// Whether any entry of the group that starts at `first` is marked: what a sweep asks before it
/// looks at each. A bit that is set meanwhile may be missed; the flag of the slab is then up again.
///
/// # Safety
/// `first` is the first of [`GROUP`] entries' worth of memory, of which the rest may lie behind the
/// ledger's end.
#[inline(always)]
pub unsafe fn any_returned(first: &Entry) -> bool {
    #[cfg(all(not(loom), target_arch = "x86_64"))]
    // SAFETY: loads of the group's 64 bytes, all of which are memory. Eight entries' words at a
    // time, which no atomic type of the language allows beside the 16-bit ones; to the processor
    // they are loads like any other.
    unsafe {
        let all: u64;
        core::arch::asm!(
            "mov {all}, qword ptr [{first}]",
            "or {all}, qword ptr [{first} + 8]",
            "or {all}, qword ptr [{first} + 16]",
            "or {all}, qword ptr [{first} + 24]",
            "or {all}, qword ptr [{first} + 32]",
            "or {all}, qword ptr [{first} + 40]",
            "or {all}, qword ptr [{first} + 48]",
            "or {all}, qword ptr [{first} + 56]",
            first = in(reg) core::ptr::from_ref(first),
            all = out(reg) all,
            options(nostack, readonly)
        );
        all & 0x8080_0000_8080_0000 != 0
    }
    #[cfg(not(all(not(loom), target_arch = "x86_64")))]
    {
        let first = core::ptr::from_ref(first);
        // SAFETY: an entry of the group.
        (0..GROUP).any(|index| unsafe { (*first.add(index)).returned() })
    }
}
