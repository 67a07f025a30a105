//! The owner's side of a slab: the fast paths of malloc and free.

use core::ptr::{self, NonNull};

#[cfg(all(not(loom), target_arch = "x86_64"))]
use crate::engine::slab::ledger;
use crate::engine::slab::ledger::{END, Entry, LIVE};
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
    /// The number comes from [`number_as_owner`](Self::number_as_owner), or is at least 1 and at most the
    /// capacity, or, outside loom, is [`END`], sign-extended.
    #[inline(always)]
    pub(super) unsafe fn numbered(&self, number: usize) -> &Entry {
        // SAFETY: as the caller promises; the sentinel stands so far in front of the ledger (see the assertion below [`Local`]).
        unsafe { self.entry(number.wrapping_sub(1)) }
    }

    /// Whether the block with this number is marked.
    ///
    /// # Safety
    /// As [`numbered`](Self::numbered).
    #[inline(always)]
    unsafe fn is_returned(&self, number: usize) -> bool {
        // Two instructions where the compiler, which folds no atomic load into a test, makes three: on
        // the fast paths of malloc and free.
        #[cfg(all(not(loom), target_arch = "x86_64"))]
        // SAFETY: looks at two bytes that exist, as the caller promises, in one load, which no atomic type of the
        // language allows beside the 8-bit ones; to the processor it is one like any other.
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
        // SAFETY: as the caller promises.
        unsafe {
            self.numbered(number).returned()
        }
    }

    /// Whether the block with this number is live, and nobody else has freed it.
    ///
    /// # Safety
    /// The calling thread owns the slab; the number is from
    /// [`number_as_owner`](Self::number_as_owner).
    #[inline(always)]
    pub unsafe fn is_live(&self, number: usize) -> bool {
        // SAFETY: as the caller promises.
        unsafe { self.numbered(number).local_as_owner() == LIVE && !self.is_returned(number) }
    }

    /// Bytes of a block, for the owner: no atomic load.
    ///
    /// # Safety
    /// The calling thread owns the slab.
    #[inline(always)]
    pub unsafe fn size_as_owner(&self) -> usize {
        // SAFETY: the owner's.
        unsafe { self.local.look(|local| local.size) }
    }

    /// The number, from 1, of the block that starts at `address`; `None` where none does.
    ///
    /// # Safety
    /// The calling thread owns the slab, and `address` lies in its span, or many GiB away.
    #[inline(always)]
    pub unsafe fn number_as_owner(&self, address: usize) -> Option<usize> {
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

    /// Allocates the first block of the list; `None` when there is none, or when a mark says that somebody
    /// freed it while it was free: [`late`](Self::late) tells the two apart.
    ///
    /// # Safety
    /// The calling thread owns the slab.
    #[inline(always)]
    pub unsafe fn pop(&self) -> Option<NonNull<u8>> {
        // SAFETY: the owner's; and of `nothing`, which all heaps share, no more is done than this look.
        unsafe {
            let head = self.local.look(|local| local.head);
            if cfg!(loom) && head == END {
                return None;
            }
            // Signed, so that END is the sentinel's number, which is always marked: one look tells of
            // an empty list and of a head that was freed.
            let head = head.cast_signed() as isize as usize;
            self.local.with(|local| {
                // The allocation's instant is this look. Acquire costs nothing on x86-64 and is not
                // needed: a set bit goes the slow way, which looks again.
                if self.is_returned(head) && !planted(Fault::PopBlind) {
                    return None;
                }
                let entry = self.numbered(head);
                let next = entry.local_as_owner();
                entry.set_local(LIVE);
                let address = local.top;
                local.set_head(next);
                prefetch_for_write(local.top);
                Some(NonNull::new_unchecked(ptr::with_exposed_provenance_mut(address)))
            })
        }
    }

    /// The block at the list's head, if it was freed while it was free: a mark is cleared, and the
    /// address comes back to be reported.
    ///
    /// # Safety
    /// The calling thread owns the slab.
    pub unsafe fn double_freed_head(&self) -> Option<usize> {
        // SAFETY: the owner's, or a look at `nothing`, whose list is empty; the list holds carved blocks.
        unsafe {
            self.local.look(|local| {
                let head = local.head;
                if head == END {
                    return None;
                }
                let entry = self.numbered(usize::from(head));
                let marks = entry.marks();
                if marks.count() == 0 {
                    return None;
                }
                // One at a time: the caller comes again.
                entry.clear(marks.first());
                Some(local.base + usize::from(head) * local.size)
            })
        }
    }

    /// The owner frees the block with this number, which is at `address`.
    ///
    /// # Safety
    /// The calling thread owns the slab, and the number comes from
    /// [`number_as_owner`](Self::number_as_owner).
    #[inline(always)]
    pub unsafe fn free(
        &self,
        number: usize,
        address: usize,
        probe: &impl Probe,
    ) -> Result<Freed, NotLive> {
        // SAFETY: as the caller promises.
        let entry = unsafe { self.numbered(number) };
        // SAFETY: the owner's; where there is a quarantine, its frees alone come here.
        let is_live = unsafe {
            entry.local_as_owner() == LIVE
                && (!self.is_returned(number) || planted(Fault::FreeBlind))
        };
        if !is_live {
            return Err(NotLive);
        }
        probe.pause();
        // SAFETY: the owner's.
        unsafe {
            self.local.with(|local| {
                entry.set_local(local.head);
                local.head = number as u16;
                local.top = address;
                local.more -= 1;
                Ok(if local.more < 0 { Freed::Move } else { Freed::Fine })
            })
        }
    }

    /// Makes some uncarved blocks free: a page of them, or one. Called with an empty list. Returns
    /// how many; the memory of a clean slab's is zero.
    ///
    /// # Safety
    /// The calling thread owns the slab.
    pub unsafe fn carve(&self) -> usize {
        if self.capacity() == 0 {
            return 0; // `nothing`, which all heaps share, is only looked at
        }
        // SAFETY: the owner's; uncarved blocks below the capacity have entries.
        unsafe {
            self.local.with(|local| {
                debug_assert_eq!(local.head, END);
                let carved = usize::from(local.carved);
                let left = self.capacity() - carved;
                if left == 0 {
                    return 0;
                }
                let blocks = (CARVE / local.size).max(1).min(left);
                for index in carved..carved + blocks - 1 {
                    self.entry(index).set_local(index as u16 + 2);
                }
                self.entry(carved + blocks - 1).set_local(END);
                local.set_head(carved as u16 + 1);
                local.carved = (carved + blocks) as u16;
                blocks
            })
        }
    }

    /// Blocks that are not on the list of a current slab, counted by a walk along it.
    ///
    /// # Safety
    /// The calling thread owns the slab.
    pub unsafe fn count_used(&self) -> usize {
        // SAFETY: the owner's; the list holds carved blocks.
        unsafe {
            self.local.look(|local| {
                let (mut taken, mut next) = (usize::from(local.carved), local.head);
                while next != END {
                    taken -= 1;
                    next = self.numbered(usize::from(next)).local();
                }
                taken
            })
        }
    }

    /// The current slab becomes one on no list.
    ///
    /// # Safety
    /// The calling thread owns the slab, which is current.
    pub unsafe fn leave_current(&self) {
        // SAFETY: as the caller promises.
        unsafe {
            let taken = self.count_used();
            self.local.with(|local| {
                local.place = Place::Nowhere;
                local.more = taken as i32 - 1;
            });
        }
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
