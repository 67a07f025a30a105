//! Resizing: in place where the block's class or mapping allows it, else by a new block and a copy.

use core::ptr;

use crate::engine::classes::{LARGEST, MIN_ALIGN, UNIT, class_of, size_of};
use crate::engine::engine::Engine;
use crate::engine::heap::Heap;
use crate::engine::huge::header::HugeRef;
use crate::engine::huge::mapping::{Mapping, NO_SEAMS};
use crate::engine::huge::{mapping_bytes, room_for};
use crate::engine::pagemap::Header;
use crate::engine::shared::Shared;
use crate::misuse::Misuse;
use crate::os::{Os, PAGE, STEP, whole_steps};
use crate::probe::Probe;
use crate::sync::{Ordering, RawLock};

/// A block of so many bytes that is grown has a mapping of its own from then on, so that it need
/// not be copied again.
const GROWN: usize = 32 << 10;

/// Whether a block of a slab stays where it is: one that more than half of would lie idle is given
/// up for a smaller one.
#[inline(always)]
pub fn fits(size: usize, usable: usize) -> bool {
    size <= usable && (size > usable / 2 || usable <= 32)
}

/// Less than this at a block's end is kept when the block shrinks where it is.
const TAIL: usize = 32 << 10;

/// Whether so much of a block of a slab lies idle that it may go back to the OS.
#[inline(always)]
pub fn leaves_tail(size: usize, usable: usize) -> bool {
    usable - size >= TAIL
}

/// Whether a block of `usable` bytes that is to have `size` bytes gets a mapping with room. No less
/// than a unit: see `huge`.
#[inline]
pub fn gets_room(size: usize, usable: usize) -> bool {
    size > usable && usable >= GROWN && size > UNIT
}

/// Gives the whole pages among the `bytes` bytes at `start` back, and keeps some on a kernel whose
/// pages are large: such a kernel takes only multiples of [`STEP`] as a start, and then gives back
/// whole steps.
///
/// # Safety
/// They are part of a mapping of this OS, and nothing refers to their contents.
#[cold]
unsafe fn give_back(os: &impl Os, start: usize, bytes: usize) {
    let (first, end) = (start.next_multiple_of(PAGE), (start + bytes) & !(PAGE - 1));
    let go = |from: usize, to: usize| {
        // SAFETY: whole pages of the part.
        from >= to || unsafe { os.decommit(ptr::with_exposed_provenance_mut(from), to - from) }
    };
    let Some((step, steps)) = whole_steps(first, end.saturating_sub(first)) else {
        // It has no step: where it begins at one, that page stays.
        go(if first.is_multiple_of(STEP) { first + PAGE } else { first }, end);
        return;
    };
    if !go(first, step + steps) {
        go(step, step + steps);
    }
    go(step + steps + PAGE, end);
}

/// What a huge block came to.
enum Resized {
    /// It is here now.
    At(*mut u8),
    /// It has to be copied: until then it is held, and nobody can free it.
    Copy,
    /// It is not live any more.
    Gone,
}

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Makes the block one of at least `size` bytes, keeping its contents up to the smaller size;
    /// in place where it can, else at a multiple of `align`. Null: as [`malloc`](Self::malloc).
    /// `Ok(null)` else: no memory, and the block is as it was. An error changes nothing.
    ///
    /// # Safety
    /// The calling thread owns `heap`. If `block` is live, nothing uses it after this call, unless
    /// the call fails or finds no memory; then as before.
    pub unsafe fn try_realloc(
        &self,
        heap: &Heap,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<*mut u8, Misuse> {
        if block.is_null() {
            // SAFETY: the calling thread owns the heap.
            return Ok(unsafe { self.malloc(heap, size, align) });
        }
        if !align.is_power_of_two() {
            return Ok(ptr::null_mut());
        }
        let usable = self.usable_size(block)?;
        let aligned = block.addr().is_multiple_of(align);
        let stays = aligned && usable <= LARGEST && fits(size, usable);
        if stays && !leaves_tail(size, usable) {
            return Ok(block);
        }
        let huge =
            usable > LARGEST || matches!(self.page_map.look_up(block.addr()), Header::Huge(_));
        if stays && !huge {
            // A block that was asked for with this size has as much behind it, untouched.
            if class_of(size, MIN_ALIGN).map(size_of) != Some(usable) {
                // SAFETY: the block is live and the caller's, who gives up what is behind `size`.
                unsafe { give_back(&self.os, block.addr() + size, usable - size) };
            }
            return Ok(block);
        }
        if huge {
            match self.resize_huge(block, size, align) {
                Resized::At(block) => return Ok(block),
                Resized::Gone => return self.reject(self.judge_nowhere(block.addr())),
                Resized::Copy => {}
            }
        }
        // SAFETY: the calling thread owns the heap, and gives the block up; if that is huge, it is
        // held.
        unsafe { self.copy_to_new(heap, block, (size, usable), align, huge) }
    }

    /// The rest of a realloc of `(size, usable)` bytes that needs a new block.
    ///
    /// # Safety
    /// As [`try_realloc`](Self::try_realloc); a block that is `huge` is held.
    unsafe fn copy_to_new(
        &self,
        heap: &Heap,
        block: *mut u8,
        (size, usable): (usize, usize),
        align: usize,
        huge: bool,
    ) -> Result<*mut u8, Misuse> {
        let aligned = block.addr().is_multiple_of(align);
        // SAFETY: the caller owns the heap. The new block is its alone and holds `kept` bytes, as
        // does the old, which the caller gives up; if it is huge, it is held.
        unsafe {
            let new = match gets_room(size, usable) && align <= PAGE {
                true => self.allocate_to_grow(heap.owner(), size),
                false => self.malloc(heap, size, align),
            };
            if new.is_null() {
                if huge {
                    self.let_go_of_huge(block);
                }
                if size <= usable && aligned {
                    // It would have got smaller: it stays as large as it is.
                    self.stayed.store(true, Ordering::Relaxed);
                    return Ok(block);
                }
                return Ok(new);
            }
            ptr::copy_nonoverlapping(block, new, usable.min(size));
            if huge {
                self.let_go_of_huge(block);
            }
            if let Err(misuse) = self.try_free(heap, block) {
                // Somebody freed it meanwhile. The new block nobody knows.
                let _ = self.try_free(heap, new);
                return Err(misuse);
            }
            Ok(new)
        }
    }

    /// Whether a block was ever left larger than a request for its size would get: when a realloc
    /// to a smaller size found no memory. Then sizes that a program gives with its frees can't be
    /// held against the blocks.
    pub fn has_stayed(&self) -> bool {
        self.stayed.load(Ordering::Relaxed)
    }

    /// Ends the hold of the huge block that starts at `block`.
    fn let_go_of_huge(&self, block: *mut u8) {
        self.locked(|shared| {
            if let Some(header) = self.huge_at(block.addr()) {
                shared.huge.block(header).held = false;
            }
        });
    }

    /// Resizes the mapping of the huge block.
    #[cold]
    fn resize_huge(&self, block: *mut u8, size: usize, align: usize) -> Resized {
        let address = block.expose_provenance();
        self.locked(|shared| {
            let Some(header) = self.huge_at(address) else { return Resized::Gone };
            let Some(live) = shared.huge.free_to_use(header, address) else {
                return Resized::Gone;
            };
            let new = match mapping_bytes(size) {
                Some(bytes) if size > LARGEST / 2 || bytes >= live.size => {
                    self.remap(shared, header, bytes, align)
                }
                _ => None,
            };
            match new {
                Some(block) => Resized::At(block),
                None => {
                    shared.huge.block(header).held = true;
                    Resized::Copy
                }
            }
        })
    }

    /// Gives the huge block's mapping another length, in place or by moving its pages; `None` where
    /// that can't be, or a copy is better. Under the span lock.
    fn remap(
        &self,
        shared: &mut Shared,
        header: HugeRef,
        bytes: usize,
        align: usize,
    ) -> Option<*mut u8> {
        let live = shared.huge.block(header);
        let (before, mapping, whole) = (live.size, live.mapping(), live.seams == NO_SEAMS);
        let (block, address) = (mapping.start, mapping.start.addr());
        let grows = bytes > before;
        if address.is_multiple_of(align) && (bytes == before || grows && bytes <= mapping.bytes) {
            shared.huge.resize(header, mapping, bytes);
            return Some(block);
        }
        // One that grows much moves into a kept mapping, if there is one: a copy costs less than
        // the pages that would have to be got, and cleared. And the OS moves one mapping at a time,
        // where a block may be several.
        let much = bytes.saturating_sub(before) >= before / 2;
        if grows && (!whole || much && shared.huge.kept.has(bytes)) {
            return None;
        }
        // A block that moves may come to lie anywhere at a page; one that may not stays where it
        // is, or is copied.
        // Wherever it comes to lie, there must be room to say so: no mapping is moved back.
        let may_move = align <= PAGE && self.page_map.keep_spare(&self.os);
        if !may_move && !address.is_multiple_of(align) {
            return None;
        }
        shared.huge.lift(header);
        // Fails also where the program has made several mappings of this one, by `madvise` or
        // `mprotect`.
        // SAFETY: a whole mapping of this OS; the caller gives its old place up if it moves.
        let remap = |length| unsafe { self.os.remap(block, mapping.bytes, length, may_move) };
        let mut length = if grows { room_for(bytes) } else { bytes };
        let mut new = remap(length);
        if new.is_null() && grows {
            length = bytes;
            new = remap(length);
        }
        if new.is_null() {
            shared.huge.resize(header, mapping, before);
            return None;
        }
        if new.addr() != address {
            self.follow(shared, header, mapping, new);
        }
        let used = mapping.used.min(length);
        shared.huge.resize(header, Mapping { start: new, bytes: length, used }, bytes);
        Some(new)
    }

    /// Says that the block whose mapping was `mapping` is at `new` now. The map has a spare leaf.
    fn follow(&self, shared: &mut Shared, header: HugeRef, mapping: Mapping, new: *mut u8) {
        let (address, start) = (mapping.start.addr(), new.expose_provenance());
        let reached = self.page_map.prepare(&self.os, start, 1);
        debug_assert!(reached, "the leaf was there before the block moved");
        self.page_map.set_huge(address, None);
        self.page_map.set_huge(start, Some(header));
        let before = shared.huge.block(header).size;
        shared.huge.moved(address, before, start);
    }
}
