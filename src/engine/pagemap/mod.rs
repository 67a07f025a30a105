//! The page map: from an address to the [header](Header) of what it lies in, for any address at
//! all.
//!
//! ```text
//!  address   | 0 | top: 15 bits (16 on aarch64) | unit: 16 bits | offset: 16 bits |
//!                    |                              |
//!              top[..] ──► leaf, of 4 GiB ──► entry: a header, or null
//! ```
//!
//! In front of it stands a table that the fast path of free looks into, by the low bits of the
//! unit's number: it knows one slab for all addresses that share those bits, 16 GiB apart, and so
//! is right about nearly every address of nearly every program, and never wrong for long: who takes
//! its answer asks the slab whether it owns it, and whether the address is near.
//!
//! ```text
//!  near      | unit, modulo 2^18 | ──► a slab, less the table's own address; 0 is `nothing`
//! ```
//!
//! A leaf is mapped when the first slab lies in it, and stays. Nothing here reads the address
//! itself, so a wild pointer costs no more than a look.
//!
//! An entry is set after its slab is whole (release; lookups acquire), and cleared before the slab
//! is retired; a lookup that comes in between is caught by the ledger's count.
//!
//! Under loom, to which each atomic costs, there are a few entries and no tree: a model uses a few
//! units of one arena.

use core::ptr;

use crate::engine::classes::UNIT;
use crate::engine::huge::header::HugeRef;
use crate::engine::slab::{Slab, blank};
use crate::os::Os;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering};

/// Bits of an address that can differ in a program's half of the address space.
#[cfg(not(loom))]
const ADDRESS_BITS: u32 = if cfg!(target_arch = "x86_64") { 47 } else { 48 };
#[cfg(not(loom))]
const LEAF_BITS: u32 = 16;
const UNIT_BITS: u32 = UNIT.trailing_zeros();
/// One more than there can be: a bound that is no power of two is checked by one comparison of the
/// index, which is needed anyway.
#[cfg(not(loom))]
const TOP: usize = (1 << (ADDRESS_BITS - LEAF_BITS - UNIT_BITS)) + 1;

#[cfg(not(loom))]
struct Leaf([AtomicPtr<Slab>; 1 << LEAF_BITS]);

/// Entries of the table in front: 2 MiB of them, since a process that locks all its memory may have
/// 8 MiB in all. Under loom few: a model makes many maps.
const NEAR: usize = if cfg!(loom) { 1 << 3 } else { 1 << 18 };

/// What an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Nothing of ours.
    None,
    /// A slab: the address is in its span.
    Slab(*const Slab),
    /// A huge block that starts in the address's unit.
    Huge(HugeRef),
}

/// The bit of an entry that says: a huge block's header. All headers are at multiples of 64.
const HUGE: usize = 1;

/// The map: 2.25 MiB of zero, of which pages in use are resident.
#[repr(C)]
pub struct PageMap {
    /// What entry 0 of `near` stands for: a slab that nobody owns.
    nothing: Slab,
    near: [AtomicUsize; NEAR],
    /// A leaf that waits for its place: see [`keep_spare`](PageMap::keep_spare).
    #[cfg(not(loom))]
    spare: AtomicPtr<Leaf>,
    #[cfg(not(loom))]
    top: [AtomicPtr<Leaf>; TOP],
    #[cfg(loom)]
    units: [AtomicPtr<Slab>; NEAR],
}

/// The same number, of which the compiler knows no more: else it keeps the two summands apart, and
/// adds them again for every field that is looked at, three instructions more on the fast path of
/// free.
#[inline(always)]
#[cfg_attr(loom, expect(unused_mut))]
fn opaque(mut number: usize) -> usize {
    #[cfg(not(loom))]
    // SAFETY: no instruction at all.
    unsafe {
        core::arch::asm!("/* {number} */", number = inout(reg) number,
            options(pure, nomem, nostack, preserves_flags));
    }
    number
}

impl PageMap {
    /// An empty map.
    #[cfg(not(loom))]
    pub const fn new() -> PageMap {
        PageMap {
            nothing: blank(),
            near: [const { AtomicUsize::new(0) }; NEAR],
            spare: AtomicPtr::new(ptr::null_mut()),
            top: [const { AtomicPtr::new(ptr::null_mut()) }; TOP],
        }
    }

    /// As above.
    #[cfg(loom)]
    pub fn new() -> PageMap {
        PageMap {
            nothing: blank(),
            near: core::array::from_fn(|_| AtomicUsize::new(0)),
            units: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
        }
    }

    /// A slab for the unit at `address`: the one it belongs to, or one 16 GiB or a multiple away,
    /// or one that nobody owns. Never null.
    #[inline(always)]
    pub fn slab_near(&self, address: usize) -> *const Slab {
        // Acquire: as in `slab_at`.
        let offset = self.near[(address >> UNIT_BITS) % NEAR].load(Ordering::Acquire);
        let address = (&raw const self.nothing).addr().wrapping_add(offset);
        ptr::with_exposed_provenance(opaque(address))
    }

    /// What the unit at `address` belongs to.
    #[inline(always)]
    pub fn look_up(&self, address: usize) -> Header {
        // Acquire: pairs with the release in `set`: the header is whole.
        let Some(entry) = self.entry(address) else { return Header::None };
        let header = entry.load(Ordering::Acquire).cast_const();
        if header.addr() & HUGE != 0 {
            return HugeRef::at(header.addr() - HUGE).map_or(Header::None, Header::Huge);
        }
        if header.is_null() { Header::None } else { Header::Slab(header) }
    }

    /// The slab that the unit at `address` belongs to, or null.
    #[inline(always)]
    pub fn slab_at(&self, address: usize) -> *const Slab {
        match self.look_up(address) {
            Header::Slab(slab) => slab,
            Header::Huge(_) | Header::None => ptr::null(),
        }
    }

    /// The entry of the unit at `address`, if its leaf is there.
    #[cfg(not(loom))]
    #[inline(always)]
    fn entry(&self, address: usize) -> Option<&AtomicPtr<Slab>> {
        // Acquire: pairs with the release in `prepare`; the leaf's zeroes are the kernel's.
        let leaf = self.top.get(address >> (LEAF_BITS + UNIT_BITS))?.load(Ordering::Acquire);
        if leaf.is_null() {
            return None;
        }
        // SAFETY: a leaf lives as long as the map, and has an entry for every value of 16 bits.
        Some(unsafe { &(&(*leaf).0)[(address >> UNIT_BITS) % (1 << LEAF_BITS)] })
    }

    /// As above.
    #[cfg(loom)]
    fn entry(&self, address: usize) -> Option<&AtomicPtr<Slab>> {
        Some(&self.units[(address >> UNIT_BITS) % NEAR])
    }

    /// Calls `f` with the start of every unit that belongs to something, and with that. For a
    /// thread that is alone.
    #[cfg(not(loom))]
    pub fn each(&self, mut f: impl FnMut(usize, Header)) {
        for (top, leaf) in self.top.iter().enumerate() {
            // Acquire: as in `entry`.
            let leaf = leaf.load(Ordering::Acquire);
            if leaf.is_null() {
                continue;
            }
            for unit in 0..1 << LEAF_BITS {
                let address = (top << LEAF_BITS | unit) << UNIT_BITS;
                match self.look_up(address) {
                    Header::None => {}
                    header => f(address, header),
                }
            }
        }
    }

    /// Makes sure that entries for the `bytes` bytes at `start` can be set. False when the OS
    /// fails. Under the span lock.
    #[cfg(not(loom))]
    pub fn prepare<O: Os>(&self, os: &O, start: usize, bytes: usize) -> bool {
        let first = start >> (LEAF_BITS + UNIT_BITS);
        let last = (start + bytes - 1) >> (LEAF_BITS + UNIT_BITS);
        (first..=last).all(|top| {
            let Some(entry) = self.top.get(top) else { return false };
            if entry.load(Ordering::Relaxed).is_null() {
                if !self.keep_spare(os) {
                    return false;
                }
                let leaf = self.spare.swap(ptr::null_mut(), Ordering::Relaxed);
                // Release: pairs with the acquire in `entry`.
                entry.store(leaf, Ordering::Release);
            }
            true
        })
    }

    /// Makes sure that [`prepare`](Self::prepare) will not fail at the next leaf: for a mapping that
    /// the OS may move anywhere, and that could not be moved back. False when the OS fails. Under
    /// the span lock.
    #[cfg(not(loom))]
    pub fn keep_spare<O: Os>(&self, os: &O) -> bool {
        // Relaxed, as in `prepare`: under the lock.
        if self.spare.load(Ordering::Relaxed).is_null() {
            let leaf = os.reserve_guarded(size_of::<Leaf>(), UNIT).cast::<Leaf>();
            self.spare.store(leaf, Ordering::Relaxed);
        }
        !self.spare.load(Ordering::Relaxed).is_null()
    }

    /// As above: there are no leaves.
    #[cfg(loom)]
    pub fn keep_spare<O: Os>(&self, _: &O) -> bool {
        true
    }

    /// As above: they are there.
    #[cfg(loom)]
    pub fn prepare<O: Os>(&self, _: &O, _: usize, _: usize) -> bool {
        true
    }

    /// Sets the entries of the units from `start` on, `bytes` long, to `slab`; null clears.
    /// `prepare` has been there. Under the span lock.
    pub fn set(&self, start: usize, bytes: usize, slab: *const Slab) {
        let offset = match slab.is_null() {
            true => 0,
            false => slab.expose_provenance().wrapping_sub((&raw const self.nothing).addr()),
        };
        for address in (start..start + bytes).step_by(UNIT) {
            self.store(address, slab.cast_mut(), offset);
        }
    }

    /// As [`set`](Self::set), of the one unit in which a huge block starts. To the fast path of
    /// free it is nobody's.
    pub fn set_huge(&self, start: usize, header: Option<HugeRef>) {
        let tagged = header.map_or(0, |header| header.address() | HUGE);
        self.store(start, ptr::with_exposed_provenance_mut(tagged), 0);
    }

    /// Stores a unit's header, and what its entry of the table in front stands for.
    fn store(&self, address: usize, header: *mut Slab, near: usize) {
        let Some(entry) = self.entry(address) else {
            debug_assert!(false, "`prepare` makes the leaves");
            return;
        };
        // Release: pairs with the acquire in `look_up`: the header is whole.
        entry.store(header, Ordering::Release);
        // Release: as above. Whoever else stood here is found by the slow way from now on.
        self.near[(address >> UNIT_BITS) % NEAR].store(near, Ordering::Release);
    }

    /// Gives the leaves back. Nobody uses the map any more.
    #[cfg(not(loom))]
    pub fn release<O: Os>(&mut self, os: &O) {
        for entry in self.top.iter_mut().chain([&mut self.spare]) {
            let leaf = *entry.get_mut();
            if !leaf.is_null() {
                // SAFETY: `reserve_guarded` gave each leaf, and the map ends.
                unsafe { os.unmap_guarded(leaf.cast(), size_of::<Leaf>()) };
                *entry.get_mut() = ptr::null_mut();
            }
        }
    }

    /// As above: there is nothing.
    #[cfg(loom)]
    pub fn release<O: Os>(&mut self, _: &O) {}
}

#[cfg(test)]
mod tests;
