//! Allocation, as far as the fast paths can't do it: from the heap's slabs, from abandoned and new
//! slabs, from mappings.
//!
//! A block that is returned is nobody else's. Whether it is known to be zero comes with it
//! ([`Allocated`]): memory that is fresh from the OS need not be cleared for calloc.

use core::ptr;

use crate::engine::classes::{self, LARGEST, MIN_ALIGN};
use crate::engine::engine::Engine;
use crate::engine::heap::refill::Refill;
use crate::engine::heap::{Heap, Own, Owner, bytes_of};
use crate::engine::huge::mapping::{Mapping, NO_SEAMS, Pieces, Seams};
use crate::engine::huge::{self, mapping_bytes};
use crate::engine::shared::headers::NewSlab;
use crate::engine::span::decay::DECAY;
use crate::os::{Os, PAGE};
use crate::probe::Probe;
use crate::sync::RawLock;

/// The longest block that is put together from kept pieces: for `calloc` its bytes are cleared one
/// by one, where new pages would come clean, and only if they are touched.
const MOVED: usize = 64 << 20;

/// A block, and whether all its bytes are known to be zero.
struct Allocated {
    block: *mut u8,
    zero: bool,
}

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Allocates a block of at least `size` bytes at a multiple of `align`, at least 16. Null for
    /// want of memory, for more than `PTRDIFF_MAX`, or when `align` is not a power of two.
    ///
    /// # Safety
    /// The calling thread owns `heap`.
    pub unsafe fn malloc(&self, heap: &Heap, size: usize, align: usize) -> *mut u8 {
        // SAFETY: the calling thread owns the heap.
        self.allocate(unsafe { heap.owner() }, size, align)
            .map_or(ptr::null_mut(), |allocated| allocated.block)
    }

    /// As [`malloc`](Self::malloc), and its first `size` bytes are zero.
    ///
    /// # Safety
    /// As there.
    pub unsafe fn malloc_zeroed(&self, heap: &Heap, size: usize, align: usize) -> *mut u8 {
        // SAFETY: the calling thread owns the heap.
        let Some(allocated) = self.allocate(unsafe { heap.owner() }, size, align) else {
            return ptr::null_mut();
        };
        if !allocated.zero {
            // SAFETY: the block is ours alone until it is returned, and at least `size` bytes long.
            unsafe { ptr::write_bytes(allocated.block, 0, size) };
        }
        allocated.block
    }

    fn allocate(&self, mut owner: Owner<'_>, size: usize, align: usize) -> Option<Allocated> {
        if !align.is_power_of_two() {
            return None;
        }
        self.background_steps(owner.heap(), classes::class_of(size, align).unwrap_or(0));
        self.look_if_under_way(&mut owner);
        match classes::class_of(size, align) {
            Some(class) => self.allocate_small(owner, class),
            None => self.allocate_huge(owner, size, align),
        }
    }

    /// Allocates a block of `class`.
    fn allocate_small(&self, mut owner: Owner<'_>, class: usize) -> Option<Allocated> {
        let heap = owner.heap();
        owner.with(|own| {
            loop {
                let current = own.current[class];
                if let Some(block) = current.pop() {
                    return Some(Allocated { block: block.as_ptr(), zero: false });
                }
                if let Some(address) = current.double_freed_head() {
                    self.defer_double_free(address, current.as_ptr());
                    continue;
                }
                if self.tick_if_due(heap, own) {
                    continue; // the current slab may have blocks now, or be another
                }
                self.drop_idle_few(own);
                let double_freed = |address| self.defer_double_free_at(address);
                let refill = own.refill(class, double_freed);
                if own.recheck {
                    self.scan_wanted.set();
                }
                let refill = match refill {
                    Refill::None => self.new_slab(heap, own, class),
                    refill => refill,
                };
                match refill {
                    Refill::None => return None,
                    Refill::Reused => {}
                    Refill::Fresh => {
                        let current = own.current[class];
                        if let Some(block) = current.pop() {
                            let zero = current.is_clean();
                            return Some(Allocated { block: block.as_ptr(), zero });
                        }
                    }
                }
            }
        })
    }

    /// Makes an abandoned slab or a new one the current one. [`Refill::None`] when there is no
    /// memory. `own` is of `heap`.
    #[cold]
    fn new_slab(&self, heap: &Heap, own: &mut Own, class: usize) -> Refill {
        let now = self.os.milliseconds();
        let reclaim = || {
            self.locked(|shared| {
                let slab = shared.reclaim_of_class(class, heap);
                (slab, shared.has_parked_since(now.saturating_sub(DECAY)))
            })
        };
        let reclaimed = match reclaim() {
            (None, true) => {
                self.abandon_some(DECAY, class);
                reclaim().0
            }
            (slab, _) => slab,
        };
        if let Some(slab) = reclaimed {
            own.slabs.add(slab);
            // Into an empty one only a misuse can free; its flag is seen, here or by the scan that
            // it wants.
            if slab.used() > 0 || slab.flagged() {
                self.sweep(own, slab);
            }
            own.make_current(slab);
            let fresh = !slab.has_free() && slab.carve() > 0;
            // It may have nothing to give after all: the caller comes again.
            return if fresh { Refill::Fresh } else { Refill::Reused };
        }
        let get = || {
            self.locked(|shared| {
                let got = shared.slab(&self.os, &self.page_map, class, heap);
                // Its last life may have left a misuse to be told.
                self.hint_deferred(shared);
                got
            })
        };
        let got = get().or_else(|| {
            self.yield_idle(heap, own);
            get()
        });
        let Some(NewSlab { header, span }) = got else { return Refill::None };
        // SAFETY: from the pool, and nobody else's since.
        unsafe {
            header.start_at(span.start, span.clean, ptr::from_ref(heap).expose_provenance());
        }
        self.page_map.set(span.start, bytes_of(class), header.as_ptr());
        own.slabs.add(header);
        own.make_current(header);
        header.carve();
        Refill::Fresh
    }

    /// As [`malloc`](Self::malloc), with a mapping of its own that has room: a block that grows.
    /// More than a unit.
    pub(super) fn allocate_to_grow(&self, owner: Owner<'_>, size: usize) -> *mut u8 {
        let Some(bytes) = mapping_bytes(size) else { return ptr::null_mut() };
        if let Some(mapping) = self.locked(|shared| shared.huge.kept.take_to_grow(bytes)) {
            return self.settle_huge(mapping, NO_SEAMS, bytes);
        }
        let length = huge::room_for(bytes);
        let start = self.os.reserve(length, PAGE);
        if !start.is_null() {
            let mapping = Mapping { start, bytes: length, used: 0 };
            return self.settle_huge(mapping, NO_SEAMS, bytes);
        }
        self.allocate(owner, size, MIN_ALIGN).map_or(ptr::null_mut(), |allocated| allocated.block)
    }

    /// Allocates a block with a mapping of its own: a kept one, or one of the OS.
    #[cold]
    fn allocate_huge(&self, mut owner: Owner<'_>, size: usize, align: usize) -> Option<Allocated> {
        let bytes = mapping_bytes(size.max(LARGEST / 2))?;
        if align <= PAGE {
            if let Some(kept) = self.locked(|shared| shared.huge.kept.take(bytes)) {
                let block = self.settle_huge(kept, NO_SEAMS, kept.used);
                return (!block.is_null()).then_some(Allocated { block, zero: false });
            }
            if let Some((mapping, seams)) = self.put_together(bytes) {
                let block = self.settle_huge(mapping, seams, bytes);
                return (!block.is_null()).then_some(Allocated { block, zero: false });
            }
        }
        let map = || match align <= PAGE {
            true => self.os.map(bytes),
            false => self.os.reserve(bytes, align),
        };
        let mut start = map();
        if start.is_null() {
            let heap = owner.heap();
            owner.with(|own| self.yield_idle(heap, own));
            start = map();
        }
        if start.is_null() {
            return None;
        }
        let block = self.settle_huge(Mapping { start, bytes, used: bytes }, NO_SEAMS, bytes);
        (!block.is_null()).then_some(Allocated { block, zero: true })
    }

    /// Moves kept pieces behind each other, where none is long enough alone, and lets new pages
    /// follow them. `None` where nothing is kept, or the OS fails to.
    fn put_together(&self, bytes: usize) -> Option<(Mapping, Seams)> {
        if bytes > MOVED || !self.os.moves_pages() {
            return None;
        }
        let pieces = self.locked(|shared| shared.huge.kept.gather(bytes));
        if pieces.count() == 0 {
            return None;
        }
        let start = self.os.map(bytes);
        if start.is_null() {
            // SAFETY: taken out above. What is short of memory is helped by them going back.
            unsafe { self.unmap_all(&pieces) };
            return None;
        }
        let (mut seams, mut filled) = (NO_SEAMS, 0);
        for (place, piece) in pieces.all().iter().enumerate() {
            let to = start.wrapping_add(filled);
            // SAFETY: both are this thread's alone: one was kept, one is new. What lies behind the
            // moved part of the piece is address space that was never used.
            let moved = unsafe {
                let moved = self.os.move_pages(piece.start, piece.used, to);
                if moved && piece.bytes > piece.used {
                    self.os.unmap(piece.start.add(piece.used), piece.bytes - piece.used);
                }
                moved
            };
            if !moved {
                self.give_up(start, bytes, filled, &pieces.all()[place..]);
                return None;
            }
            filled += piece.used;
            if filled < bytes {
                seams[place] = filled;
            }
        }
        Some((Mapping { start, bytes, used: bytes }, seams))
    }

    /// Gives back what was to become a block, as the OS failed to move the first of `left` to
    /// `filled` bytes behind `start`. Whether anything is mapped there is not known, and by now it
    /// may be another thread's: that part is left alone.
    #[cold]
    fn give_up(&self, start: *mut u8, bytes: usize, filled: usize, left: &[Mapping]) {
        let behind = filled + left[0].used;
        let mut gone = Pieces::new();
        for (from, to) in [(0, filled), (behind, bytes)] {
            if from < to {
                let (start, bytes) = (start.wrapping_add(from), to - from);
                gone.push(Mapping { start, bytes, used: bytes });
            }
        }
        for &piece in left {
            gone.push(piece);
        }
        // SAFETY: parts of the new mapping that are there still, and pieces that were not moved:
        // this thread's alone.
        unsafe { self.unmap_all(&gone) };
    }

    /// Makes a block of `bytes` bytes at the start of a mapping that is nobody's. Null without
    /// memory to note it.
    fn settle_huge(&self, mapping: Mapping, seams: Seams, bytes: usize) -> *mut u8 {
        let start = mapping.start.expose_provenance();
        let registered = self.locked(|shared| {
            if !self.page_map.prepare(&self.os, start, 1) {
                return None;
            }
            let header = shared.huge_header(&self.os)?;
            shared.huge.add(header, mapping, seams, bytes);
            self.page_map.set_huge(start, Some(header));
            Some(())
        });
        if registered.is_none() {
            // SAFETY: mapped, and nobody knows it. If that fails, it is lost.
            unsafe { self.os.unmap(mapping.start, mapping.bytes) };
            return ptr::null_mut();
        }
        mapping.start
    }
}
