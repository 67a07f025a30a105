//! A slab: a span cut into equal blocks, and their ledger.
//!
//! ```text
//!  header, apart from the blocks                         the span, at a multiple of 64 KiB
//!  +-------------------------------+                     +-----+-----+-----+-- ... --+-----+------+
//!  | start, reciprocal, owner,     | line 0, all threads |  0  |  1  |  2  |         | n-1 | tail |
//!  | favourite                     |                     +-----+-----+-----+-- ... --+-----+------+
//!  +-------------------------------+                        ▲     ▲
//!  | flag, news: look here         | line 1, the others'    │     │
//!  +-------------------------------+                        │     │
//!  | head, used, born, list links  | line 2, the owner's    │     │
//!  +-------------------------------+                        │     │
//!  | entry 0 | entry 1 | ...       | the ledger, 4 bytes a block
//!  +-------------------------------+
//! ```
//!
//! # Invariants
//! - Headers are never unmapped, nor used for another class. Only `start` changes, and only while
//!   nobody owns the slab; so a thread with an old pointer to a header reads sense, and the ledger's
//!   count tells it that it came too late. For a favourite, which has no use for the count, the next life waits.
//! - The owner's list, from `head` through *mine*, holds exactly the free blocks below `born`.
//! - `more` is the number of blocks below `born` that are not on that list, less one; less `asleep` while the slab is
//!   on the heap's list of full ones. So its sign after a free tells the owner that there is more to do.
//!   While the slab is its heap's current one, nobody needs that: `more` is then any number, and mostly a
//!   large one, so that malloc need not count. Counted is when the slab leaves that place, which it mostly does
//!   with an empty list.
//! - A full slab stays on the list of full ones until [`wake`] of its blocks are free: each move costs more
//!   than the free that asks for it, and a slab that comes back for one block is soon full again.
//! - `flag` is set after a mark, and cleared before a sweep; `news` is counted after a favourite's mark, and read before a
//!   sweep: see [`Slab::mark`] and [`Slab::sweep`].
//! - `favourite` is the heap whose marks are plain stores: the first that freed here and is not the owner. A slab that
//!   has ended begins no other life before that heap's thread is known to be past any free that began before the end,
//!   so that no such store lands on another block than it was meant for: see [`Slab::retire`] and
//!   `shared`.

use core::ptr::{self, NonNull};

use super::classes::{self, UNIT};
use super::ledger::{self, By, END, Entry, GROUP, LIVE, Mark, UNBORN, WAITING};
use crate::misuse::BlockState;
use crate::probe::Probe;
use crate::sync::fault::{Fault, planted};
use crate::sync::{self, AtomicBool, AtomicU32, AtomicUsize, Cell, Ordering, const_unless_loom};

/// The class of a block that has a mapping of its own.
pub const HUGE: usize = classes::CLASSES;

/// Nobody's: the slab is in the pool of its class, or is a huge block.
pub const NOBODY: usize = 0;
/// The slab's owner has exited; the first heap that needs it takes it over.
pub const ORPHANED: usize = 1;

/// Farther than this from its base no block of a slab starts: bytes.
const FARTHEST: usize = i32::MAX as usize;

/// Bytes of memory that one extension of the list makes blocks of: a page, so that memory becomes
/// resident as it is needed.
const EXTENSION: usize = 4096;

/// `more` of a slab that becomes current.
const PLENTY: i32 = 1 << 30;

/// Free blocks that a full slab of `capacity` blocks must have before it is listed as partial: a quarter, and
/// 64 at most.
pub const fn wake(capacity: usize) -> usize {
    match capacity / 4 {
        0 => 1,
        1..64 => capacity / 4,
        _ => 64,
    }
}

/// A slab's header; its ledger follows it in memory.
#[repr(C, align(64))]
pub struct Slab {
    /// Address of block 0 less a block: numbers count from 1. Relaxed: see [`Slab::mark`] for a reader that
    /// may come too late.
    base: AtomicUsize,
    /// 2^64 / block size, rounded up: D. Lemire, O. Kaser, N. Kurz, "Faster remainder by direct
    /// computation" (2019). 0 for huge blocks, which passes no address.
    reciprocal: u64,
    /// The address of the owning heap, or [`NOBODY`], or [`ORPHANED`]. A thread that reads its own
    /// heap's address here is the owner: it alone can take that away.
    pub owner: AtomicUsize,
    /// Bytes of a block. A huge block's usable bytes change, under the span lock.
    pub size: AtomicUsize,
    /// Bytes of the span; of a huge block, its own. Changes for huge blocks only, under the lock.
    pub bytes: AtomicUsize,
    /// The address of the heap whose frees are plain stores, or [`NOBODY`].
    pub favourite: AtomicUsize,
    class: u16,
    capacity: u16,
    /// The others'.
    others: Others,
    /// The owner's. Of slabs without owner: the span lock's.
    pub local: Cell<Local>,
}

/// What others write with their marks: on a line of its own, since each free of a favourite stores here, and each of the
/// owner's reads the line before.
#[repr(C, align(64))]
struct Others {
    /// Another thread has marked a block since the last sweep began.
    flag: AtomicBool,
    /// How many marks the favourite has set, ever; it alone writes here. It wraps.
    news: AtomicU32,
}

/// What the owner alone touches.
#[repr(C, align(64))]
pub struct Local {
    /// The address of the block that `head` names; of no meaning where that is [`END`]. Kept beside the number
    /// because a block that is freed and issued again at once then need not wait for a multiplication.
    /// Of a huge block: bytes of its mapping.
    top: usize,
    /// `start - size`: numbers count from 1.
    base: usize,
    /// Bytes of a block. Of a huge block: bytes of its mapping that may be resident.
    size: usize,
    /// Neighbours on the list of `place`.
    pub previous: *const Slab,
    /// As above.
    pub next: *const Slab,
    /// The first free block, counted from 1, or [`END`].
    head: u16,
    /// Blocks that were ever free or issued: those from here on are unborn.
    born: u16,
    /// How many more frees there can be before the owner has something to do; see the [module](self).
    more: i32,
    /// What [`END`] names where a block's number is asked for: an entry that is always marked.
    sentinel: Entry,
    /// What is taken off `more` while the slab is on the list of full ones: its capacity, less [`wake`] of it.
    asleep: i32,
    /// `news` as it was when the last sweep began.
    seen: u32,
    /// When the slab ended: the low bits of the favourite's count then.
    pub ended: u16,
    /// Which list of its heap the slab is on.
    pub place: Place,
    /// The span held only zeroes when the slab was made.
    clean: bool,
}

#[cfg(not(loom))]
const _: () = assert!(
    core::mem::offset_of!(Slab, local) + core::mem::offset_of!(Local, sentinel)
        == size_of::<Slab>() - (END.cast_signed().unsigned_abs() as usize + 1) * size_of::<Entry>()
);

/// Where a slab stands in its heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On no list.
    Nowhere,
    /// At the heap's hand.
    Current,
    /// On the list of slabs that have, or can make, free blocks.
    Partial,
    /// On the list of slabs of whose blocks next to all are issued, as far as the owner knows.
    Full,
    /// On the list of slabs without a live block.
    Empty,
    /// On the list of orphans.
    Orphans,
}

/// What the owner has to do after a free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freed {
    /// No more.
    Fine,
    /// The slab was full, or is empty: put it where it belongs.
    Move,
}

/// What a thread that is not the owner came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// The free has taken effect.
    Done,
    /// It has, and is the first in this slab since the owner last looked there.
    First,
    /// Look the block up again.
    Again,
    /// The block is not live.
    Refused,
}

impl From<Mark> for Marked {
    fn from(mark: Mark) -> Marked {
        match mark {
            Mark::Done => Marked::Done,
            Mark::Again => Marked::Again,
            Mark::Refused => Marked::Refused,
        }
    }
}

/// Why a free was refused: the block's entry says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLive;

const_unless_loom! {
    /// A slab that is nobody's and has no blocks: stands where a heap has none at hand.
    pub fn nothing() -> Slab {
        Slab::with(HUGE as u16, END, Entry::sentinel(), Place::Current)
    }

    /// A slab that is nobody's, of which nobody asks more. All zero: what holds it costs no room in a file.
    pub fn blank() -> Slab {
        Slab::with(0, 0, Entry::new(), Place::Nowhere)
    }
}

impl Slab {
    const_unless_loom! {
    fn with(class: u16, head: u16, sentinel: Entry, place: Place) -> Slab {
        Slab {
            base: AtomicUsize::new(0),
            reciprocal: 0,
            owner: AtomicUsize::new(NOBODY),
            size: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            favourite: AtomicUsize::new(NOBODY),
            class,
            capacity: 0,
            others: Others { flag: AtomicBool::new(false), news: AtomicU32::new(0) },
            local: Cell::new(Local {
                top: 0,
                base: 0,
                size: 0,
                previous: ptr::null(),
                next: ptr::null(),
                head,
                born: 0,
                more: 0,
                sentinel,
                asleep: 0,
                seen: 0,
                ended: 0,
                place,
                clean: false,
            }),
        }
    }
    }

    /// Bytes that a header of `class` takes with its ledger.
    pub fn footprint(class: usize) -> usize {
        size_of::<Slab>() + Slab::entries(class) * size_of::<Entry>()
    }

    /// Entries of a ledger: one for every multiple of the block size in the span. The last may stand
    /// for the tail, and is never born.
    fn entries(class: usize) -> usize {
        match class {
            HUGE => 1,
            _ if cfg!(loom) => classes::capacity(class) + 1,
            _ => (classes::units(class) * UNIT).div_ceil(classes::size_of(class)),
        }
    }

    /// Makes a header of `class` at `place`, with an unborn ledger.
    ///
    /// # Safety
    /// `place` has [`footprint`](Self::footprint) bytes of zero that are nobody else's, at a multiple of
    /// a `Slab`'s alignment.
    pub unsafe fn create(place: *mut Slab, class: usize) {
        let mut slab = nothing();
        if class != HUGE {
            let size = classes::size_of(class);
            slab.reciprocal = u64::MAX / size as u64 + 1;
            slab.size = AtomicUsize::new(size);
            slab.bytes = AtomicUsize::new(classes::units(class) * UNIT);
            slab.capacity = classes::capacity(class) as u16;
        }
        slab.class = class as u16;
        // SAFETY: the place is large enough and ours. Zeroed entries are valid ones outside loom.
        unsafe {
            place.write(slab);
            #[cfg(loom)]
            for index in 0..Slab::entries(class) {
                place.add(1).cast::<Entry>().add(index).write(Entry::new());
            }
        }
    }

    /// The class of its blocks, or [`HUGE`].
    #[inline(always)]
    pub fn class(&self) -> usize {
        usize::from(self.class)
    }

    /// How many blocks it can have.
    pub fn capacity(&self) -> usize {
        usize::from(self.capacity)
    }

    /// The address of block 0.
    #[inline(always)]
    pub fn start(&self) -> usize {
        self.base.load(Ordering::Relaxed) + self.size.load(Ordering::Relaxed)
    }

    /// Whether the huge block is kept from being freed: it waits in quarantine, or another thread is moving it.
    pub fn is_held(&self) -> bool {
        // SAFETY: every header has an entry.
        self.class() == HUGE && unsafe { self.entry(0) }.mine() == WAITING
    }

    /// Holds the huge block, or lets it go. Under the span lock, or the quarantine's.
    pub fn hold(&self, held: bool) {
        // SAFETY: every header has an entry.
        unsafe { self.entry(0) }.set_mine(if held { WAITING } else { UNBORN });
    }

    /// For huge blocks, under the span lock.
    pub fn set_huge(&self, start: usize, bytes: usize) {
        self.size.store(bytes, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        self.base.store(start.wrapping_sub(bytes), Ordering::Relaxed);
    }

    /// Bytes of the huge block's mapping, and how many of them may be resident.
    ///
    /// # Safety
    /// The caller has the span lock.
    pub unsafe fn mapping(&self) -> (usize, usize) {
        // SAFETY: as the caller promises.
        unsafe { self.local.look(|local| (local.top, local.size)) }
    }

    /// Notes the length of the huge block's mapping, and how much of it may be resident.
    ///
    /// # Safety
    /// The caller has the span lock.
    pub unsafe fn set_mapping(&self, bytes: usize, used: usize) {
        // SAFETY: as the caller promises.
        unsafe { self.local.with(|local| (local.top, local.size) = (bytes, used)) };
    }

    /// The entry of block `index`, which is below `entries`.
    ///
    /// # Safety
    /// `index` comes from [`index_of`](Self::index_of), or is below the capacity.
    #[inline(always)]
    pub unsafe fn entry(&self, index: usize) -> &Entry {
        // SAFETY: headers stand in front of their ledgers (`create`), whose memory lives as long as
        // they; the index is one of its entries, as the caller promises. The pointer is made from an
        // exposed address, since a reference to the header alone does not reach past it.
        unsafe {
            let ledger = ptr::with_exposed_provenance::<Entry>(
                ptr::from_ref(self).addr() + size_of::<Slab>(),
            );
            &*ledger.wrapping_add(index)
        }
    }

    /// The entry of the block with this number, which counts from 1.
    ///
    /// # Safety
    /// The number comes from [`number_as_owner`](Self::number_as_owner), or is at least 1 and at most the
    /// capacity, or, outside loom, is [`END`], sign-extended.
    #[inline(always)]
    unsafe fn numbered(&self, number: usize) -> &Entry {
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
        unsafe { self.numbered(number).mine_as_owner() == LIVE && !self.is_returned(number) }
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

    /// The number of the block that starts `offset` bytes from `base`, below 2^32.
    #[inline(always)]
    fn number_at(&self, offset: usize) -> Option<usize> {
        let product = offset as u128 * u128::from(self.reciprocal);
        // The fraction is below the reciprocal just when the size divides the offset.
        ((product as u64) < self.reciprocal).then_some((product >> 64) as usize)
    }

    /// The index of the block that starts at `address`; `None` where none does.
    pub fn index_of(&self, address: usize) -> Option<usize> {
        let offset = address.wrapping_sub(self.start());
        if offset >= self.bytes.load(Ordering::Relaxed) || self.class() == HUGE {
            return None;
        }
        self.number_at(offset).filter(|&index| index < self.capacity())
    }

    /// The index of the block that `address`, in the span, lies in.
    fn containing(&self, address: usize) -> usize {
        let offset = address.wrapping_sub(self.start());
        ((u128::from(self.reciprocal) * offset as u128) >> 64) as usize
    }

    /// What is known of the block at or around `address`, which lies in the span.
    pub fn state_at(&self, address: usize) -> BlockState {
        let index = self.containing(address);
        if self.class() == HUGE || index >= self.capacity() {
            return BlockState::Unknown;
        }
        // SAFETY: below the capacity.
        let entry = unsafe { self.entry(index) };
        match entry.mine() {
            UNBORN => BlockState::Unknown,
            LIVE if !entry.returned() => BlockState::Live,
            _ => BlockState::Free,
        }
    }

    /// Issues the first block of the list; `None` when there is none, or when a mark says that somebody
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
                // The hand-out's instant is this look. Acquire costs nothing on x86-64 and is not
                // needed: a set bit goes the slow way, which looks again.
                if self.is_returned(head) && !planted(Fault::PopBlind) {
                    return None;
                }
                let entry = self.numbered(head);
                let next = entry.mine_as_owner();
                entry.set_mine(LIVE);
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
    pub unsafe fn late(&self) -> Option<usize> {
        // SAFETY: the owner's, or a look at `nothing`, whose list is empty; the list holds born blocks.
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
            entry.mine_as_owner() == LIVE
                && (!self.is_returned(number) || planted(Fault::FreeBlind))
        };
        if !is_live {
            return Err(NotLive);
        }
        probe.pause();
        // SAFETY: the owner's.
        unsafe {
            self.local.with(|local| {
                entry.set_mine(local.head);
                local.head = number as u16;
                local.top = address;
                local.more -= 1;
                Ok(if local.more < 0 { Freed::Move } else { Freed::Fine })
            })
        }
    }

    /// Another thread frees the block at `address`: marks it, and says on the slab that there is
    /// something to see. `heap` is the address of the thread's heap, or [`NOBODY`].
    ///
    /// Whoever exchanges reads the flag after the mark is set, and must not read it before; the owner clears it, and
    /// then looks at the marks. One of the two sees the other: the same fence stands on both sides.
    ///
    /// The favourite has no fence there, which would cost as much as an exchange. So it counts its marks, and the owner,
    /// which remembers the count, sees that there were more. It may read a flag that is just being cleared, and tell
    /// nobody; the owner, which knows that it swept, looks again once: see `Own::unsure`. So does, a quarter of a second
    /// later, whoever lets go of a slab that has a favourite: see `Shared::doubt`.
    pub fn mark(&self, heap: usize, address: usize, probe: &impl Probe) -> Marked {
        let start = self.start();
        let offset = address.wrapping_sub(start);
        // A slab that was retired meanwhile and started elsewhere: the address is not in it.
        if offset >= self.bytes.load(Ordering::Relaxed) {
            return Marked::Again;
        }
        let Some(index) = self.number_at(offset).filter(|&index| index < self.capacity()) else {
            return Marked::Refused;
        };
        // SAFETY: below the capacity.
        let entry = unsafe { self.entry(index) };
        let by = if self.favours(heap) { By::Favourite } else { By::Anyone };
        let count = || {
            let news = self.others.news.load(Ordering::Relaxed);
            // Release: pairs with the acquire in `sweep`. Who sees the count sees the mark.
            self.others.news.store(news.wrapping_add(1), Ordering::Release);
        };
        if by == By::Favourite && planted(Fault::NewsEarly) {
            count();
        }
        let mark = entry.mark(by, || {
            probe.pause();
            // Acquire: pairs with the fence in `start_at`. If *mine* was that of the slab's next life,
            // so is the start.
            if !planted(Fault::MarkAsksEarly) {
                sync::fence(Ordering::Acquire);
            }
            self.start() == start || planted(Fault::MarkElsewhere)
        });
        if mark != Mark::Done {
            return Marked::from(mark);
        }
        match by {
            By::Favourite if planted(Fault::NewsEarly) || planted(Fault::MarkUnflagged) => {}
            By::Favourite => {
                count();
                sync::fence_for_the_compiler();
            }
            By::Anyone if planted(Fault::MarkUnfenced) => {}
            By::Anyone => sync::fence_after_rmw(),
        }
        if self.others.flag.load(Ordering::Relaxed) || planted(Fault::MarkUnflagged) {
            return Marked::Done;
        }
        // An exchange, for the fence behind it: whoever raises the flag looks at the owner next, and one that
        // leaves the slab writes there first and looks at the flag then (`Engine::orphan_all`).
        let raised = self.others.flag.swap(true, Ordering::Relaxed);
        if !planted(Fault::FlagUnfenced) {
            sync::fence_after_rmw();
        }
        if raised { Marked::Done } else { Marked::First }
    }

    /// Whether the heap at `heap` is the favourite, or becomes it here.
    #[inline]
    fn favours(&self, heap: usize) -> bool {
        // Acquire: pairs with the release in `shared::is_over`, so that the marks of a favourite before are seen, and, in
        // the exchange, with the one in `retire`.
        let favourite = self.favourite.load(Ordering::Acquire);
        let becomes = || {
            self.favourite
                .compare_exchange(NOBODY, heap, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        };
        heap != NOBODY
            && (favourite == heap
                || favourite == NOBODY && becomes()
                || planted(Fault::AllFavoured))
    }

    /// Whether another thread has marked a block here since the last sweep began.
    ///
    /// # Safety
    /// The calling thread owns the slab, or has the span lock and nobody owns it.
    #[inline]
    pub unsafe fn flagged(&self) -> bool {
        let news = self.others.news.load(Ordering::Relaxed);
        // SAFETY: as the caller promises.
        self.others.flag.load(Ordering::Relaxed) || news != unsafe { self.local.look(|l| l.seen) }
    }

    /// Takes back what others freed: those blocks are on the list afterwards, the lowest first. `late` is
    /// called with the address of each block that was free already. Returns how many came back.
    ///
    /// # Safety
    /// The calling thread owns the slab, or has the span lock and nobody owns it.
    pub unsafe fn sweep(&self, mut late: impl FnMut(usize)) -> usize {
        self.others.flag.store(false, Ordering::Relaxed);
        // Pairs with the fence in `mark`.
        if !planted(Fault::SweepUnfenced) {
            sync::fence(Ordering::SeqCst);
        }
        // Acquire: pairs with the release in `mark`.
        let news = self.others.news.load(Ordering::Acquire);
        // SAFETY: as the caller promises; blocks below `born` have entries, and a ledger's memory is whole groups.
        unsafe {
            let (born, base, size, first) = self.local.with(|local| {
                local.seen = news;
                (usize::from(local.born), local.base, local.size, local.head)
            });
            let (mut head, mut back) = (first, 0);
            for group in (0..born.div_ceil(GROUP)).rev() {
                let entries = group * GROUP;
                if !ledger::any_returned(self.entry(entries)) {
                    continue;
                }
                for index in (entries..born.min(entries + GROUP)).rev() {
                    let entry = self.entry(index);
                    // What the freeing thread did to the block is over, if it is marked.
                    let marks = entry.marks();
                    let mut frees = marks.count();
                    if frees == 0 {
                        continue;
                    }
                    if entry.mine() == LIVE {
                        entry.set_mine(head);
                        head = index as u16 + 1;
                        back += 1;
                        frees -= 1;
                    }
                    if !planted(Fault::SweepSilent) {
                        (0..frees).for_each(|_| late(base + (index + 1) * size));
                    }
                    entry.clear(marks);
                }
            }
            if back > 0 {
                self.local.with(|local| {
                    local.set_head(head);
                    local.more -= back as i32;
                });
            }
            back
        }
    }

    /// Makes some unborn blocks free: a page of them, or one. Called with an empty list. Returns
    /// how many; the memory of a clean slab's is zero.
    ///
    /// # Safety
    /// The calling thread owns the slab.
    pub unsafe fn extend(&self) -> usize {
        if self.capacity() == 0 {
            return 0; // `nothing`, which all heaps share, is only looked at
        }
        // SAFETY: the owner's; unborn blocks below the capacity have entries.
        unsafe {
            self.local.with(|local| {
                debug_assert_eq!(local.head, END);
                let born = usize::from(local.born);
                let left = self.capacity() - born;
                if left == 0 {
                    return 0;
                }
                let blocks = (EXTENSION / local.size).max(1).min(left);
                for index in born..born + blocks - 1 {
                    self.entry(index).set_mine(index as u16 + 2);
                }
                self.entry(born + blocks - 1).set_mine(END);
                local.set_head(born as u16 + 1);
                local.born = (born + blocks) as u16;
                blocks
            })
        }
    }

    /// Begins a life: nobody's slab becomes the heap's at `owner`, over the span at `start`.
    ///
    /// # Safety
    /// The slab is nobody's and comes from the pool; the caller has the span lock.
    pub unsafe fn start_at(&self, start: usize, clean: bool, owner: usize) {
        let size = self.size.load(Ordering::Relaxed);
        self.base.store(start - size, Ordering::Relaxed);
        // Pairs with the fence in `mark`: who sees an entry of this life sees this start.
        if !planted(Fault::StartUnfenced) {
            sync::fence(Ordering::Release);
        }
        // SAFETY: as the caller promises.
        unsafe {
            self.local.with(|local| {
                local.head = END;
                local.born = 0;
                local.more = -1;
                local.asleep = (self.capacity() - wake(self.capacity())) as i32;
                local.base = start - size;
                local.size = size;
                local.place = Place::Nowhere;
                local.clean = clean;
            });
        }
        self.owner.store(owner, Ordering::Release);
    }

    /// Ends a life: every entry is counted on, so that a mark on its way fails. Not the favourite's, which may
    /// still come: until its thread has begun another free, which sees that the slab has ended,
    /// the slab must not begin another life. `steps` is asked for the low bits of the count of the favourite at an
    /// address, or of [`NOBODY`]. `late` as in [`sweep`](Self::sweep).
    ///
    /// # Safety
    /// The calling thread owns the slab, none of its blocks is live, and the page map has let go of it.
    pub unsafe fn retire(&self, mut late: impl FnMut(usize), steps: impl FnOnce(usize) -> u16) {
        // SAFETY: as the caller promises.
        unsafe {
            self.local.with(|local| {
                for index in 0..usize::from(local.born) {
                    let entry = self.entry(index);
                    entry.set_mine(UNBORN);
                    for _ in 0..entry.bump() {
                        late(local.base + (index + 1) * local.size);
                    }
                }
                local.born = 0;
                local.head = END;
                local.place = Place::Nowhere;
            });
        }
        // An exchange, release: pairs with the acquire in `favours`. Who becomes the favourite after this sees the end.
        if !planted(Fault::EndUnclaimed) {
            let _ = self.favourite.compare_exchange(
                NOBODY,
                NOBODY,
                Ordering::Release,
                Ordering::Relaxed,
            );
        }
        // Pairs with the fence in `Heap::count`: a free that begins after a count that is not seen here sees the end.
        if !planted(Fault::EndUnfenced) {
            sync::fence(Ordering::SeqCst);
        }
        let count = steps(self.favourite.load(Ordering::Relaxed));
        // SAFETY: as the caller promises.
        unsafe { self.local.with(|local| local.ended = count) };
        self.others.flag.store(false, Ordering::Relaxed);
        self.owner.store(NOBODY, Ordering::Release);
    }

    /// Tells of marks that came after the slab's end: misuses, all of them, since no block was live. `late` as in
    /// [`sweep`](Self::sweep).
    ///
    /// # Safety
    /// The slab has ended, and the caller has the span lock.
    pub unsafe fn judge_end(&self, mut late: impl FnMut(usize)) {
        let (start, size) = (self.start(), self.size.load(Ordering::Relaxed));
        for first in (0..self.capacity()).step_by(GROUP) {
            // SAFETY: below the capacity; a ledger's memory is whole groups.
            unsafe {
                if !ledger::any_returned(self.entry(first)) {
                    continue;
                }
                for index in first..self.capacity().min(first + GROUP) {
                    let entry = self.entry(index);
                    let marks = entry.marks();
                    (0..marks.count()).for_each(|_| late(start + index * size));
                    entry.clear(marks);
                }
            }
        }
    }

    /// Blocks that are not on the list of a current slab, counted by a walk along it.
    ///
    /// # Safety
    /// The calling thread owns the slab.
    pub unsafe fn taken_at_hand(&self) -> usize {
        // SAFETY: the owner's; the list holds born blocks.
        unsafe {
            self.local.look(|local| {
                let (mut taken, mut next) = (usize::from(local.born), local.head);
                while next != END {
                    taken -= 1;
                    next = self.numbered(usize::from(next)).mine();
                }
                taken
            })
        }
    }

    /// The current slab becomes one on no list.
    ///
    /// # Safety
    /// The calling thread owns the slab, which is current.
    pub unsafe fn leave_hand(&self) {
        // SAFETY: as the caller promises.
        unsafe {
            let taken = self.taken_at_hand();
            self.local.with(|local| {
                local.place = Place::Nowhere;
                local.more = taken as i32 - 1;
            });
        }
    }

    /// Makes list and count anew from the ledger: after a fork, the thread that vanished may have been
    /// anywhere. A block that was on its way out stays issued, and is lost; one on its way in is free.
    ///
    /// # Safety
    /// The calling thread has the span lock, and the owner does not exist any more.
    pub unsafe fn rebuild(&self) {
        // SAFETY: as the caller promises.
        unsafe {
            self.local.with(|local| {
                // `born` may lag behind the entries that `extend` was writing.
                let mut born = 0;
                for index in 0..self.capacity() {
                    if self.entry(index).mine() != UNBORN {
                        born = index + 1;
                    }
                }
                local.born = born as u16;
                local.head = END;
                local.more = -1;
                local.place = Place::Nowhere;
                for index in (0..born).rev() {
                    let entry = self.entry(index);
                    match entry.mine() {
                        LIVE | WAITING => local.more += 1,
                        _ => {
                            // Free and marked: its owner was about to take it back, or the mark is a
                            // misuse. Which, nobody can tell any more, so nobody is accused.
                            entry.clear(entry.marks());
                            entry.set_mine(local.head);
                            local.set_head(index as u16 + 1);
                        }
                    }
                }
            });
        }
    }

    /// Live blocks, by the ledger: exact at rest, a good guess otherwise.
    pub fn live(&self) -> usize {
        (0..self.capacity())
            // SAFETY: below the capacity.
            .map(|index| unsafe { self.entry(index) })
            .filter(|entry| entry.mine() == LIVE && !entry.returned())
            .count()
    }

    /// Names the first invariant of list and ledger that does not hold.
    ///
    /// # Safety
    /// The calling thread owns the slab, or has the span lock and nobody owns it.
    pub unsafe fn check(&self) -> Result<(), &'static str> {
        // SAFETY: as the caller promises.
        unsafe {
            self.local.with(|local| {
                let born = usize::from(local.born);
                if born > self.capacity() {
                    return Err("a slab has no more blocks than its capacity");
                }
                let (mut free, mut next) = (0, local.head);
                if next != END && local.top != local.base + usize::from(next) * local.size {
                    return Err("a slab knows the address of its first free block");
                }
                while next != END {
                    if next == 0 || usize::from(next) > born || free > born {
                        return Err("a free list holds born blocks only, each once");
                    }
                    free += 1;
                    next = self.numbered(usize::from(next)).mine();
                }
                let (mut taken, mut unborn) = (0, 0);
                for index in 0..self.capacity() {
                    match self.entry(index).mine() {
                        LIVE | WAITING => taken += 1,
                        UNBORN => unborn += 1,
                        _ => {}
                    }
                }
                if free + taken != born || unborn != self.capacity() - born {
                    return Err("every born block is live or on its slab's list");
                }
                if local.place != Place::Current && local.more != taken as i32 - 1 + local.extra() {
                    return Err("a slab counts the blocks that are not on its list");
                }
                Ok(())
            })
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

impl Local {
    /// Names the first free block.
    #[inline(always)]
    fn set_head(&mut self, head: u16) {
        self.head = head;
        self.top = self.base.wrapping_add(usize::from(head) * self.size);
    }

    /// Blocks that are not on the list; not of a current slab.
    pub fn taken(&self) -> usize {
        debug_assert!(self.place != Place::Current);
        (self.more + 1 - self.extra()) as usize
    }

    /// Blocks on the list; not of a current slab.
    pub fn free(&self) -> usize {
        usize::from(self.born) - self.taken()
    }

    /// Whether so few blocks are free that the slab counts as full, once none can be born; not of a current slab.
    pub fn sleeps(&self) -> bool {
        self.taken() as i32 > self.asleep
    }

    /// What `more` has in it for the slab's place.
    fn extra(&self) -> i32 {
        match self.place {
            Place::Full => -self.asleep,
            _ => 0,
        }
    }

    /// Moves the slab to another list, in name. From the heap's hand only [`Slab::leave_hand`] does.
    pub fn put(&mut self, place: Place) {
        let taken = self.taken();
        self.place = place;
        self.more = match place {
            Place::Current => PLENTY,
            _ => taken as i32 - 1 + self.extra(),
        };
    }

    /// The slab is the current one, and said that it must move, after very many frees.
    pub fn stay_at_hand(&mut self) {
        self.more = PLENTY;
    }

    /// Whether the list has a block.
    pub fn has_free(&self) -> bool {
        self.head != END
    }

    /// Whether blocks can still be born, in a slab of `capacity`.
    pub fn has_unborn(&self, capacity: usize) -> bool {
        usize::from(self.born) < capacity
    }

    /// Whether memory that was never issued is zero.
    pub fn clean(&self) -> bool {
        self.clean
    }
}

#[cfg(test)]
mod tests;
