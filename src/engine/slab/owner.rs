//! The owner's side of a slab: the fast paths of malloc and free, and the blocks it carves.
//!
//! Plain loads and stores throughout. The one question that other threads' frees ask of each of
//! them is whether the block's entry is marked: [`remote`](super::remote) says why that is enough.

use core::ptr::{self, NonNull};

#[cfg(all(not(loom), target_arch = "x86_64"))]
use crate::engine::slab::ledger;
use crate::engine::slab::ledger::{END, Entry, LIVE};
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::{Place, Slab};
use crate::probe::Probe;
#[cfg(loom)]
use crate::sync::Ordering;
use crate::sync::fault::{Fault, planted};

/// Farther than this from its base no block of a slab starts: bytes.
const FARTHEST: usize = i32::MAX as usize;

/// Bytes of memory that one extension of the list makes blocks of: a page, so that memory becomes
/// resident as it is needed.
const CARVE: usize = 4096;

/// What the owner has to do after a free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freed {
    /// No more.
    Fine,
    /// The slab was full, or is empty: put it where it belongs.
    Move,
}

/// Why a free was rejected: the block's entry says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLive;

impl Slab {
    /// The entry of the block with this number, which counts from 1.
    ///
    /// # Safety
    /// The number comes from [`number_of`](OwnedSlab::number_of), or is at least 1 and at most the
    /// capacity, or, outside loom, is [`END`], sign-extended.
    #[inline(always)]
    pub(super) unsafe fn numbered(&self, number: usize) -> &Entry {
        // SAFETY: a number less one is an index; END leads to the sentinel, which stands just so
        // far in front of the ledger (`Local` has an assertion of it).
        unsafe { self.entry(number.wrapping_sub(1)) }
    }

    /// Whether the block with this number is marked.
    ///
    /// # Safety
    /// As [`numbered`](Self::numbered).
    #[inline(always)]
    unsafe fn is_returned(&self, number: usize) -> bool {
        // Two instructions where the compiler, which folds no atomic load into a test, makes three:
        // on the fast paths of malloc and free.
        #[cfg(all(not(loom), target_arch = "x86_64"))]
        // SAFETY: looks at two bytes of an entry that exists (`numbered`), in one load, which no
        // atomic type of the language allows beside the 8-bit ones; to the processor it is one like
        // any other.
        unsafe {
            core::arch::asm!(
                "test word ptr [{slab} + 4 * {number} + {marks}], {bits}",
                "jnz {yes}",
                slab = in(reg) ptr::from_ref(self),
                number = in(reg) number,
                marks = const size_of::<Slab>() - size_of::<Entry>() + ledger::MARKS_AT,
                bits = const ledger::MARKS,
                yes = label { return true },
                options(nostack, readonly)
            );
            false
        }
        #[cfg(not(all(not(loom), target_arch = "x86_64")))]
        // SAFETY: a number that `numbered` takes.
        unsafe {
            self.numbered(number).returned()
        }
    }
}

impl OwnedSlab {
    /// Whether the block with this number is live, and nobody else has freed it.
    ///
    /// # Safety
    /// The number is from [`number_of`](Self::number_of).
    #[cfg(not(loom))]
    #[inline(always)]
    pub unsafe fn is_live(self, number: usize) -> bool {
        // SAFETY: a number of the slab's; the entry's only writer is this thread.
        unsafe { self.numbered(number).local_as_owner() == LIVE && !self.is_returned(number) }
    }

    /// Bytes of a block: from the owner's line.
    #[cfg(not(loom))]
    #[inline(always)]
    pub fn block_size(self) -> usize {
        self.look(|local| local.size)
    }

    /// The number, from 1, of the block that starts at `address`, which lies in the span, or many
    /// GiB away. `None` where none does.
    #[inline(always)]
    pub fn number_of(self, address: usize) -> Option<usize> {
        #[cfg(not(loom))]
        // SAFETY: `base` changes only while nobody owns the slab. A plain load, which the compiler
        // folds into the subtraction.
        let base = unsafe { self.base.as_ptr().read() };
        #[cfg(loom)]
        let base = self.base.load(Ordering::Relaxed);
        let offset = address.wrapping_sub(base);
        if offset > FARTHEST {
            return None;
        }
        self.number_at(offset)
    }

    /// Allocates the first block of the list; `None` when there is none, or when a mark says that
    /// somebody freed it while it was free: [`double_freed_head`](Self::double_freed_head) tells
    /// the two apart.
    #[inline(always)]
    pub fn pop(self) -> Option<NonNull<u8>> {
        let head = self.look(|local| local.head);
        if cfg!(loom) && head == END {
            return None;
        }
        // Signed, so that END is the sentinel's number, which is always marked: one look tells of
        // an empty list and of a head that was freed.
        let head = head.cast_signed() as isize as usize;
        // The allocation's instant is this look. Acquire costs nothing on x86-64 and is not
        // needed: a set bit goes the slow way, which looks again.
        // SAFETY: the head's number, or END. Of the placeholder no more is done than this look.
        if unsafe { self.is_returned(head) } && !planted(Fault::PopBlind) {
            return None;
        }
        self.with(|local| {
            // SAFETY: the number of a carved block; the entry's only writer is this thread.
            let next = unsafe {
                let entry = self.numbered(head);
                let next = entry.local_as_owner();
                entry.set_local(LIVE);
                next
            };
            let address = local.top;
            local.set_head(next);
            prefetch_for_write(local.top);
            // SAFETY: a block's address.
            Some(unsafe { NonNull::new_unchecked(ptr::with_exposed_provenance_mut(address)) })
        })
    }

    /// The block at the list's head, if it was freed while it was free: a mark is cleared, and the
    /// address comes back to be reported.
    pub fn double_freed_head(self) -> Option<usize> {
        self.look(|local| {
            let head = local.head;
            if head == END {
                return None;
            }
            // SAFETY: the list holds numbers of carved blocks.
            let entry = unsafe { self.numbered(usize::from(head)) };
            let marks = entry.marks();
            if marks.count() == 0 {
                return None;
            }
            // One at a time: the caller comes again.
            entry.clear(marks.first());
            Some(local.base + usize::from(head) * local.size)
        })
    }

    /// The owner frees the block with this number, which is at `address`.
    ///
    /// # Safety
    /// The number is [`number_of`](Self::number_of) the address. Where there is a quarantine, its
    /// frees alone come here.
    #[inline(always)]
    pub unsafe fn free(
        self,
        number: usize,
        address: usize,
        probe: &impl Probe,
    ) -> Result<Freed, NotLive> {
        // SAFETY: a number of the slab's.
        let entry = unsafe { self.numbered(number) };
        // SAFETY: a number of the slab's; the entry's only writer is this thread.
        let is_live = unsafe {
            entry.local_as_owner() == LIVE
                && (!self.is_returned(number) || planted(Fault::FreeBlind))
        };
        if !is_live {
            return Err(NotLive);
        }
        probe.pause();
        self.with(|local| {
            entry.set_local(local.head);
            local.head = number as u16;
            local.top = address;
            local.countdown -= 1;
            Ok(if local.countdown < 0 { Freed::Move } else { Freed::Fine })
        })
    }

    /// Makes some uncarved blocks free: a page of them, or one. Called with an empty list. Returns
    /// how many; the memory of a clean slab's is zero.
    pub fn carve(self) -> usize {
        if self.capacity() == 0 {
            return 0; // the placeholder, which is only looked at
        }
        self.with(|local| {
            debug_assert_eq!(local.head, END);
            let carved = usize::from(local.carved);
            let left = self.capacity() - carved;
            if left == 0 {
                return 0;
            }
            let blocks = (CARVE / local.size).max(1).min(left);
            for index in carved..carved + blocks - 1 {
                // SAFETY: below the capacity.
                unsafe { self.entry(index) }.set_local(index as u16 + 2);
            }
            // SAFETY: below the capacity.
            unsafe { self.entry(carved + blocks - 1) }.set_local(END);
            local.set_head(carved as u16 + 1);
            local.carved = (carved + blocks) as u16;
            blocks
        })
    }

    /// The number at the list's head: while it stays the same, hardly anything was allocated here.
    pub fn head(self) -> u16 {
        self.look(|local| local.head)
    }

    /// Used blocks of a current slab: all that are carved, less those of its list, by a walk along
    /// it.
    pub fn count_used(self) -> usize {
        self.look(|local| {
            let (mut used, mut next) = (usize::from(local.carved), local.head);
            while next != END {
                used -= 1;
                // SAFETY: the list holds numbers of carved blocks.
                next = unsafe { self.numbered(usize::from(next)) }.local();
            }
            used
        })
    }

    /// Blocks on the list of a current slab, or `most` if there are more.
    #[cfg(not(loom))]
    pub fn count_free(self, most: usize) -> usize {
        self.look(|local| {
            let (mut free, mut next) = (0, local.head);
            while next != END && free < most {
                free += 1;
                // SAFETY: the list holds numbers of carved blocks.
                next = unsafe { self.numbered(usize::from(next)) }.local();
            }
            free
        })
    }

    /// The current slab becomes one on no list.
    pub fn leave_current(self) {
        let used = self.count_used();
        self.with(|local| local.put_with(Place::Nowhere, used));
    }
}

/// Has the processor get the line at `address`, which need not be one of ours, for a write to come.
#[inline(always)]
fn prefetch_for_write(address: usize) {
    #[cfg(all(not(loom), target_arch = "x86_64"))]
    // SAFETY: a hint: it changes nothing that a program can see, and no address makes it fail.
    unsafe {
        core::arch::asm!("prefetchw [{address}]", address = in(reg) address,
            options(readonly, nostack, preserves_flags));
    }
    #[cfg(not(all(not(loom), target_arch = "x86_64")))]
    let _ = address;
}
