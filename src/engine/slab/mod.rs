//! A slab: a span cut into equal blocks, and their ledger.
//!
//! ```text
//!  header, apart from the blocks                         the span, at a multiple of 64 KiB
//!  +-------------------------------+                     +-----+-----+-----+-- ... --+-----+------+
//!  | start, reciprocal, owner,     | line 0, all threads |  0  |  1  |  2  |         | n-1 | tail |
//!  | biased_to                     |                     +-----+-----+-----+-- ... --+-----+------+
//!  +-------------------------------+                        ▲     ▲
//!  | flag, biased_frees            | line 1, remote: others │     │
//!  +-------------------------------+                        │     │
//!  | head, carved, countdown, links| line 2, local: owner   │     │
//!  +-------------------------------+                        │     │
//!  | entry 0 | entry 1 | ...       | the ledger, 4 bytes a block
//!  +-------------------------------+
//! ```
//!
//! # Invariants
//! ```text
//! used + free + uncarved = capacity         used: allocated, or waiting in quarantine
//! free     = length of the list from head   uncarved = capacity - carved
//! countdown + 1 = used - move_at            move_at = wake_at on the list of full slabs, else 0
//!                                           (except while the slab is current: see below)
//! wake_at  = capacity - wake(capacity)
//! ```
//! - **Countdown**: so many more frees of the owner ask for no move; the free that makes it
//!   negative does. It is the owner's one counter. A current slab moves nowhere, so its countdown
//!   starts so high ([`UNCOUNTED`]) that no program gets to its end ([`COUNTED`] apart), and malloc
//!   need not count:
//!   `used` of a current slab is known by a walk along its list
//!   ([`count_used`](owned::OwnedSlab::count_used)), taken when it leaves that place, mostly with
//!   an empty list.
//! - A full slab stays on the list of full ones until [`wake`] of its blocks are free: each move
//!   costs more than the free that asks for it, and a slab that comes back for one block is soon
//!   full again.
//! - Headers are never unmapped, nor used for another class. Only `base` changes, and only while
//!   nobody owns the slab; so a thread with an old pointer to a header reads sense.
//! - What other threads do here, and why it harms nobody: see [`remote`].
//!
//! # Who may call it
//! Whoever has a header's address may read it. What the owner alone may do is
//! [`OwnedSlab`](owned::OwnedSlab)'s.

pub mod check;
pub mod idle;
pub mod ledger;
pub mod life;
pub mod owned;
pub mod owner;
pub mod placeholder;
pub mod remote;

use core::ptr;

use crate::engine::classes;
use crate::engine::slab::ledger::{END, Entry, LIVE, UNCARVED};
use crate::misuse::BlockState;
use crate::sync::{
    AtomicBool, AtomicU32, AtomicUsize, Cell, Ordering, RelaxedWord, const_unless_loom,
};

/// The class of the placeholder, which has no blocks.
pub const NO_CLASS: usize = classes::CLASSES;

/// Nobody's: the slab is in the pool of its class, or is a placeholder.
pub const NOBODY: usize = 0;
/// The slab's owner has exited; the first heap that needs it reclaims it.
pub const ABANDONED: usize = 1;

/// `countdown` of a slab that becomes current.
const UNCOUNTED: i32 = 1 << 30;

/// If set, it is this instead: so often the owner is to come by, though it has nothing to move.
pub static COUNTED: RelaxedWord = RelaxedWord::new();

/// Free blocks that a full slab of `capacity` blocks must have before it is listed as partial: a
/// quarter, and 64 at most.
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
    /// Address of block 0 less a block: numbers count from 1. Relaxed: see [`remote`] for a
    /// reader that may come too late.
    base: AtomicUsize,
    /// 2^64 / block size, rounded up: D. Lemire, O. Kaser, N. Kurz, "Faster remainder by direct
    /// computation" (2019). 0 in a placeholder, which passes no address.
    reciprocal: u64,
    /// The address of the owning heap, or [`NOBODY`], or [`ABANDONED`]. A thread that reads its own
    /// heap's address here is the owner: it alone can take that away.
    pub owner: AtomicUsize,
    /// Bytes of a block.
    pub size: usize,
    /// Bytes of the span.
    pub bytes: usize,
    /// The address of the heap whose frees are plain stores, or [`NOBODY`].
    pub biased_to: AtomicUsize,
    class: u16,
    capacity: u16,
    /// The header made before it, of all; set once, before anybody knows it.
    pub older: *const Slab,
    /// What other threads write.
    remote: Remote,
    /// The owner's: see [`owned`].
    local: Cell<Local>,
}

/// What marks by other threads write, and what is seldom written otherwise: on a line of its own,
/// since each free of a biased freer stores here, and each of the owner's reads the line before.
#[repr(C, align(64))]
struct Remote {
    /// Another thread has marked a block since the last sweep began.
    flag: AtomicBool,
    /// How many marks the biased freer has set, ever; it alone writes here. It wraps.
    biased_frees: AtomicU32,
    /// `biased_frees` as it was when somebody last looked for pairs of marks. Under the span lock;
    /// relaxed.
    judged: AtomicU32,
    /// Another than the biased freer has seen, behind its own mark, that one's: see
    /// [`remote`].
    pair: AtomicBool,
    /// The slab has ended, and is in its grace period. Under the span lock; relaxed.
    in_grace: AtomicBool,
    /// The owner's. Used only when the slab joins or leaves a heap, or a look passes it.
    ring: Cell<Links>,
}

/// A slab's neighbours in its heap's ring: whoever may touch its local part may touch these.
#[derive(Clone, Copy)]
pub struct Links {
    previous: *const Slab,
    next: *const Slab,
}

impl Links {
    /// In no ring.
    pub const fn new() -> Links {
        Links { previous: ptr::null(), next: ptr::null() }
    }
}

/// What the owner alone touches.
#[repr(C, align(64))]
pub struct Local {
    /// The address of the block that `head` names; of no meaning where that is [`END`]. Kept beside
    /// the number because a block that is freed and allocated again at once then need not wait for
    /// a multiplication.
    top: usize,
    /// `start - size`: numbers count from 1.
    base: usize,
    /// Bytes of a block.
    size: usize,
    /// Neighbours on the list of `place`.
    previous: *const Slab,
    /// As above.
    next: *const Slab,
    /// The first free block, counted from 1, or [`END`].
    head: u16,
    /// Blocks that were ever free or allocated: those from here on are uncarved.
    carved: u16,
    /// So many more frees ask for no move; see the [module](self).
    countdown: i32,
    /// What [`END`] names where a block's number is asked for: an entry that is always marked.
    sentinel: Entry,
    /// How many blocks are used when a full slab becomes a partial one.
    wake_at: i32,
    /// `biased_frees` as it was when the last sweep began.
    seen_biased: u32,
    /// The biased freer's epoch when the slab's last life ended: the low bits.
    ended_epoch: u16,
    /// Which list the slab is on.
    place: Place,
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
    /// The current one of its class.
    Current,
    /// On the list of slabs that have, or can make, free blocks.
    Partial,
    /// On the list of slabs of whose blocks next to all are allocated, as far as the owner knows.
    Full,
    /// On the list of slabs without a live block.
    Empty,
    /// On the list of abandoned slabs.
    Abandoned,
    /// As above, and among the idle ones.
    Idle,
}

const_unless_loom! {
    /// A slab that is nobody's and has no blocks: stands where a heap has no current one.
    pub fn nothing() -> Slab {
        Slab::with(NO_CLASS as u16, END, Entry::sentinel(), Place::Current)
    }

    /// A slab that is nobody's, of which nobody asks more. All zero: what holds it costs no room in
    /// a file.
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
            size: 0,
            bytes: 0,
            biased_to: AtomicUsize::new(NOBODY),
            class,
            capacity: 0,
            older: ptr::null(),
            remote: Remote {
                flag: AtomicBool::new(false),
                biased_frees: AtomicU32::new(0),
                judged: AtomicU32::new(0),
                pair: AtomicBool::new(false),
                in_grace: AtomicBool::new(false),
                ring: Cell::new(Links::new()),
            },
            local: Cell::new(Local {
                top: 0,
                base: 0,
                size: 0,
                previous: ptr::null(),
                next: ptr::null(),
                head,
                carved: 0,
                countdown: 0,
                sentinel,
                wake_at: 0,
                seen_biased: 0,
                ended_epoch: 0,
                place,
                clean: false,
            }),
        }
    }
    }

    /// The class of its blocks, or [`NO_CLASS`].
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
        self.base.load(Ordering::Relaxed) + self.size
    }

    /// The entry of block `index`, which is below `entries`.
    ///
    /// # Safety
    /// `index` comes from [`index_of`](Self::index_of), or is below the capacity.
    #[inline(always)]
    pub unsafe fn entry(&self, index: usize) -> &Entry {
        // SAFETY: headers stand in front of their ledgers (`create`), whose memory lives as long as
        // they; the index is below the capacity, or of a block of the slab's (`index_of`). The
        // pointer is made from an exposed address, since a reference to the header alone does not
        // reach past it.
        unsafe {
            let ledger = ptr::with_exposed_provenance::<Entry>(
                ptr::from_ref(self).addr() + size_of::<Slab>(),
            );
            &*ledger.wrapping_add(index)
        }
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
        if offset >= self.bytes {
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
        if index >= self.capacity() {
            return BlockState::Unknown;
        }
        // SAFETY: below the capacity.
        let entry = unsafe { self.entry(index) };
        match entry.local() {
            UNCARVED => BlockState::Unknown,
            LIVE if !entry.returned() => BlockState::Live,
            _ => BlockState::Free,
        }
    }
}

impl Local {
    /// Names the first free block.
    #[inline(always)]
    fn set_head(&mut self, head: u16) {
        self.head = head;
        self.top = self.base.wrapping_add(usize::from(head) * self.size);
    }

    /// Blocks that are neither free nor uncarved; not of a current slab.
    fn used(&self) -> usize {
        debug_assert!(self.place != Place::Current);
        (self.countdown + 1 + self.move_at()) as usize
    }

    /// Blocks on the list; not of a current slab.
    fn free(&self) -> usize {
        usize::from(self.carved) - self.used()
    }

    /// So many blocks are used when the slab next has to move.
    fn move_at(&self) -> i32 {
        match self.place {
            Place::Full => self.wake_at,
            _ => 0,
        }
    }

    /// Moves the slab, of whose blocks `used` are, to another list, in name.
    fn put_with(&mut self, place: Place, used: usize) {
        self.place = place;
        match place {
            Place::Current => self.uncount(),
            _ => self.countdown = used as i32 - 1 - self.move_at(),
        }
    }

    /// As above; not of a current slab.
    fn put(&mut self, place: Place) {
        self.put_with(place, self.used());
    }

    /// The slab is current: frees are not counted.
    fn uncount(&mut self) {
        self.countdown = if COUNTED.is_set() { COUNTED.get() as i32 } else { UNCOUNTED };
    }

    /// Whether the list has a block.
    fn has_free(&self) -> bool {
        self.head != END
    }
}

#[cfg(test)]
mod tests;
