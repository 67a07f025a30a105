//! What all heaps share, under the span lock: spans, headers, orphans, huge blocks, the heaps
//! themselves, and the misuses found late.
//!
//! # What exited threads leave
//! A heap whose thread has exited rests here, and the next thread to begin has it whole: threads that come and go
//! cost no more than a list's first element. If none begins for a while, the heap's slabs become orphans:
//! each waits with its live blocks, and the next thread that frees into it, or that needs a slab of its
//! class, takes it over. So the memory of exited threads comes back to those who use it, one slab at a time,
//! in programs that start no more threads too.

use core::ptr;

use super::classes::{self, CLASSES};
use super::heap::{Heap, List};
use super::huge::Huge;
use super::late::Late;
use super::pages::Pages;
use super::slab::{NOBODY, ORPHANED, Place, Slab};
use super::span::Spans;
use crate::misuse::{BlockState, Found, Misuse, MisuseKind};
use crate::os::Os;
use crate::sync::Ordering;
use crate::sync::fault::{Fault, planted};

/// Bytes of a chunk that headers are cut from.
const CHUNK: usize = 256 << 10;

/// Orphans of a class that a refill looks at.
const LOOKS: usize = 8;

/// See the [module](self).
pub struct Shared {
    /// Runs of units.
    pub spans: Spans,
    /// Blocks with mappings of their own.
    pub huge: Huge,
    /// Headers without a span, by class; huge blocks' last. What ended last is first.
    pools: [List; CLASSES + 1],
    /// As above, with a favourite, which may be in the middle of a free.
    waiting: [List; CLASSES],
    orphans: [List; CLASSES],
    /// A favourite's mark may have crossed the last look at a slab that became an orphan: another look is due.
    pub doubt: bool,
    /// All heaps.
    pub heaps: *const Heap,
    /// Heaps that no thread has, the last left first.
    resting: *const Heap,
    /// The same, without slabs.
    bare: *const Heap,
    /// The chunk that headers are cut from: its next free byte, and its end. Its first word points to
    /// the chunk before it.
    cursor: *mut u8,
    end: *mut u8,
    chunks: *mut u8,
    /// Bytes of all chunks.
    pub header_bytes: usize,
    /// Misuses found late, not yet told.
    pub late: Late,
    /// All that were found late.
    pub late_count: u64,
    /// How often the lock was taken.
    pub locked: u64,
    /// Nanoseconds that it was held, while that is measured.
    pub held: u64,
    /// Slabs made and given back, ever.
    pub made: u64,
    /// As above.
    pub given_back: u64,
    /// Slabs taken over.
    pub taken_over: u64,
}

// SAFETY: the pointers are to memory of the engine's own, which belongs to no thread.
unsafe impl Send for Shared {}

impl Shared {
    /// Nothing yet.
    pub const fn new() -> Shared {
        Shared {
            spans: Spans::new(),
            huge: Huge::new(),
            pools: [List::new(); CLASSES + 1],
            waiting: [List::new(); CLASSES],
            orphans: [List::new(); CLASSES],
            doubt: false,
            heaps: ptr::null(),
            resting: ptr::null(),
            bare: ptr::null(),
            cursor: ptr::null_mut(),
            end: ptr::null_mut(),
            chunks: ptr::null_mut(),
            header_bytes: 0,
            late: Late::new(),
            late_count: 0,
            locked: 0,
            held: 0,
            made: 0,
            given_back: 0,
            taken_over: 0,
        }
    }

    /// A span and a header for a slab of `class` that will be of `heap`, named in the page map's reach. `None` when the OS
    /// has no more.
    pub fn slab<O: Os>(
        &mut self,
        os: &O,
        pages: &Pages,
        class: usize,
        heap: *const Heap,
    ) -> Option<(*const Slab, usize, bool)> {
        let header = self.header(os, class, heap)?;
        let units = classes::units(class);
        let span = self.spans.allocate(os, units).filter(|span| {
            let reached = pages.prepare(os, span.start, units * classes::UNIT);
            if !reached {
                self.spans.free(os, span.start, units, false);
            }
            reached
        });
        let Some(span) = span else {
            self.pool(header);
            return None;
        };
        self.spans.name(span.start, header);
        self.made += 1;
        Some((header, span.start, span.clean))
    }

    /// Takes back a retired slab and its span.
    pub fn give_back<O: Os>(&mut self, os: &O, slab: *const Slab, start: usize) {
        // SAFETY: headers live for ever; the class never changes.
        let class = unsafe { (*slab).class() };
        self.spans.free(os, start, classes::units(class), true);
        self.pool(slab);
        self.given_back += 1;
    }

    /// A header of `class` that nobody uses, for `heap`.
    pub fn header<O: Os>(
        &mut self,
        os: &O,
        class: usize,
        heap: *const Heap,
    ) -> Option<*const Slab> {
        let pooled = self.pools[class].first;
        // SAFETY: pooled headers are nobody's; the lock is held.
        unsafe {
            if !pooled.is_null() {
                self.pools[class].remove(pooled);
                return Some(pooled);
            }
        }
        // What ended first is the likeliest to be over. What is not goes behind, or one idle favourite would bar
        // the way to all others' slabs.
        for _ in 0..LOOKS {
            let Some(List { last, .. }) = self.waiting.get(class) else { break };
            let slab = *last;
            if slab.is_null() {
                break;
            }
            // SAFETY: waiting headers are nobody's; the lock is held.
            unsafe {
                self.waiting[class].remove(slab);
                if is_over(&*slab, heap) {
                    self.judge_end(os, slab);
                    return Some(slab);
                }
                self.waiting[class].push_front(slab);
            }
        }
        let place = self.cut(os, Slab::footprint(class))?.cast::<Slab>();
        // SAFETY: fresh zeroes of that size, at a multiple of 64.
        unsafe { Slab::create(place, class) };
        Some(place)
    }

    /// Notes the marks that came to a slab after its end.
    ///
    /// # Safety
    /// `slab` waits, or was just taken from there.
    unsafe fn judge_end<O: Os>(&mut self, os: &O, slab: *const Slab) {
        // SAFETY: as the caller promises; the lock is held.
        unsafe { (*slab).judge_end(|address| self.note_late(os, double_free(address, slab))) };
    }

    /// As above, for all that wait.
    pub fn judge_ended<O: Os>(&mut self, os: &O) {
        for class in 0..CLASSES {
            let mut slab = self.waiting[class].first;
            while !slab.is_null() && !planted(Fault::EndUnseen) {
                // SAFETY: nobody's; the lock is held.
                unsafe {
                    self.judge_end(os, slab);
                    slab = (*slab).local.with(|local| local.next);
                }
            }
        }
    }

    /// Puts a header that nobody uses back.
    pub fn pool(&mut self, slab: *const Slab) {
        // SAFETY: nobody's; the lock is held.
        unsafe {
            let class = (*slab).class();
            match favourite_of(&*slab) {
                None => self.pools[class].push_front(slab),
                Some(_) => self.waiting[class].push_front(slab),
            }
        }
    }

    /// `bytes` zeroed bytes at a multiple of 64, for ever.
    pub fn cut<O: Os>(&mut self, os: &O, bytes: usize) -> Option<*mut u8> {
        let bytes = bytes.next_multiple_of(64);
        if (self.end.addr() - self.cursor.addr()) < bytes {
            let mut size = CHUNK;
            let chunk = loop {
                let chunk = os.reserve(size, crate::os::PAGE);
                if !chunk.is_null() {
                    break chunk;
                }
                size /= 2;
                if size < bytes + 64 {
                    return None;
                }
            };
            chunk.expose_provenance();
            // SAFETY: a fresh chunk of `size` bytes; its first 64 hold its link and its size.
            unsafe {
                chunk.cast::<(*mut u8, usize)>().write((self.chunks, size));
                self.cursor = chunk.add(64);
                self.end = chunk.add(size);
            }
            self.chunks = chunk;
            self.header_bytes += size;
        }
        let place = self.cursor;
        // SAFETY: the chunk has that many bytes left.
        self.cursor = unsafe { place.add(bytes) };
        Some(place)
    }

    /// A heap that no thread has, for one: the last that was left, else one without slabs.
    pub fn wake_heap(&mut self) -> Option<*const Heap> {
        let list = if self.resting.is_null() { &mut self.bare } else { &mut self.resting };
        let heap = *list;
        if heap.is_null() {
            return None;
        }
        // SAFETY: heaps live as long as the engine; the lock is held.
        unsafe {
            *list = (*heap).next_resting.with(|next| *next);
            (*heap).resting.store(0, Ordering::Relaxed);
            // Who saw it at rest may ask again.
            (*heap).count();
        }
        Some(heap)
    }

    /// Lets a heap rest that its thread has left, since `now`; `bare` says that it has no slabs.
    pub fn rest(&mut self, heap: *const Heap, now: u64, bare: bool) {
        let list = if bare { &mut self.bare } else { &mut self.resting };
        // SAFETY: as above; the heap is on no list.
        unsafe {
            (*heap).next_resting.with(|next| *next = *list);
            (*heap).resting.store((now as usize).max(1), Ordering::Relaxed);
        }
        *list = heap;
    }

    /// Whether there is a heap that has slabs, and rests since `latest` or longer.
    pub fn rests_since(&self, latest: u64) -> bool {
        let mut heap = self.resting;
        while !heap.is_null() {
            // SAFETY: heaps live as long as the engine; the lock is held.
            unsafe {
                if (*heap).resting.load(Ordering::Relaxed) as u64 <= latest {
                    return true;
                }
                heap = (*heap).next_resting.with(|next| *next);
            }
        }
        false
    }

    /// A heap that has slabs, and rests since `latest` or longer: the caller's.
    pub fn take_resting(&mut self, latest: u64) -> Option<*const Heap> {
        let (mut before, mut heap): (*const Heap, _) = (ptr::null(), self.resting);
        while !heap.is_null() {
            // SAFETY: heaps live as long as the engine; the lock is held.
            unsafe {
                let next = (*heap).next_resting.with(|next| *next);
                if (*heap).resting.load(Ordering::Relaxed) as u64 <= latest {
                    match before.is_null() {
                        true => self.resting = next,
                        false => (*before).next_resting.with(|slot| *slot = next),
                    }
                    (*heap).resting.store(0, Ordering::Relaxed);
                    return Some(heap);
                }
                (before, heap) = (heap, next);
            }
        }
        None
    }

    /// Leaves a slab of a heap that nobody took up to the others.
    ///
    /// # Safety
    /// The calling thread owns `slab`, which is on no list.
    pub unsafe fn orphan(&mut self, slab: *const Slab) {
        // SAFETY: as the caller promises; until the lock is released nobody takes it over.
        unsafe {
            (*slab).local.with(|local| local.put(Place::Orphans));
            self.orphans[(*slab).class()].push_front(slab);
            self.doubt |= favourite_of(&*slab).is_some() && !planted(Fault::OrphanSure);
            // Release: pairs with the acquire of a thread that reads the owner and takes the lock; what it
            // then touches the lock orders.
            (*slab).owner.store(ORPHANED, Ordering::Release);
        }
    }

    /// Makes `heap` the owner of `slab`, if that has none that lives. The slab is then on no list.
    pub fn take_over(&mut self, slab: *const Slab, heap: *const Heap) -> bool {
        // SAFETY: headers live for ever. Orphans are the lock's; a vanished owner does not exist.
        unsafe {
            match (*slab).owner.load(Ordering::Relaxed) {
                _ if planted(Fault::TakeOverBlind) => {
                    self.orphans[(*slab).class()].remove(slab);
                    (*slab).local.with(|local| local.put(Place::Nowhere));
                }
                NOBODY => return false,
                ORPHANED => {
                    self.orphans[(*slab).class()].remove(slab);
                    (*slab).local.with(|local| local.put(Place::Nowhere));
                }
                owner if has_vanished(owner) => (*slab).rebuild(),
                _ => return false,
            }
            (*slab).owner.store(heap.expose_provenance(), Ordering::Release);
        }
        self.taken_over += 1;
        true
    }

    /// An orphan of `class` that has, or may have, a block to give: taken over for `heap`.
    pub fn adopt(&mut self, class: usize, heap: *const Heap) -> Option<*const Slab> {
        for _ in 0..LOOKS {
            let slab = self.orphans[class].first;
            if slab.is_null() {
                return None;
            }
            // SAFETY: orphans are the lock's.
            unsafe {
                let promising = (*slab).flagged()
                    || (*slab)
                        .local
                        .with(|local| local.has_free() || local.has_unborn((*slab).capacity()));
                if promising {
                    return self.take_over(slab, heap).then_some(slab);
                }
                self.orphans[class].remove(slab);
                self.orphans[class].push_back(slab);
            }
        }
        None
    }

    /// Calls `f` with every orphan.
    pub fn each_orphan(&mut self, mut f: impl FnMut(&mut Shared, *const Slab)) {
        for class in 0..CLASSES {
            let mut slab = self.orphans[class].first;
            while !slab.is_null() {
                // SAFETY: orphans are the lock's; the next is read before `f` may take it off.
                let next = unsafe { (*slab).local.with(|local| local.next) };
                f(self, slab);
                slab = next;
            }
        }
    }

    /// Takes an orphan off its list, for `heap`, whose it is then: who frees into it at this moment, which
    /// can only be a misuse, must not find an orphan that is on no list.
    pub fn unlist_orphan(&mut self, slab: *const Slab, heap: *const Heap) {
        // SAFETY: an orphan, which is the lock's.
        unsafe {
            self.orphans[(*slab).class()].remove(slab);
            (*slab).local.with(|local| local.put(Place::Nowhere));
            (*slab).owner.store(heap.expose_provenance(), Ordering::Release);
        }
    }

    /// Notes a misuse found late. Without memory for it, it is only counted.
    pub fn note_late<O: Os>(&mut self, os: &O, misuse: Misuse) {
        self.late_count += 1;
        if self.late.is_full()
            && let bytes = self.late.bytes_of_more()
            && let Some(room) = self.cut(os, bytes)
        {
            // SAFETY: that many bytes, for ever, at a multiple of 64.
            unsafe { self.late.move_to(room.cast()) };
        }
        self.late.push(misuse);
    }

    /// Gives everything back. Nobody uses the engine any more.
    pub fn release<O: Os>(&mut self, os: &O) {
        self.huge.release(os);
        self.spans.release(os);
        let mut chunk = self.chunks;
        while !chunk.is_null() {
            // SAFETY: a chunk starts with its link and its size, and is a whole mapping.
            unsafe {
                let (next, size) = chunk.cast::<(*mut u8, usize)>().read();
                os.unmap(chunk, size);
                chunk = next;
            }
        }
        self.chunks = ptr::null_mut();
    }
}

/// The heap whose marks in the slab are plain stores, if there is one.
fn favourite_of(slab: &Slab) -> Option<&Heap> {
    heap_at(slab.favourite.load(Ordering::Relaxed))
}

/// The low bits of the count that a slab that ends notes of its favourite, which is at `heap`, or [`NOBODY`].
pub fn steps_of(heap: usize) -> u16 {
    heap_at(heap).map_or(0, |heap| heap.steps.load(Ordering::Relaxed) as u16)
}

/// The heap at an address that a slab names, unless that is [`NOBODY`].
fn heap_at<'a>(address: usize) -> Option<&'a Heap> {
    // SAFETY: what slabs name is a heap's address, or nobody's; heaps live as long as slabs.
    (address != NOBODY).then(|| unsafe { &*ptr::with_exposed_provenance(address) })
}

/// Whether the last life of a slab that has ended is over for its favourite too, so that another can begin, for `owner`:
/// there is none; or it is not in the middle of a free, and then it is none any more; or it has counted another free since.
/// Under the span lock.
fn is_over(slab: &Slab, owner: *const Heap) -> bool {
    let Some(favourite) = favourite_of(slab) else { return true };
    let idle = ptr::eq(favourite, owner)
        || favourite.resting.load(Ordering::Relaxed) != 0
        || has_vanished(ptr::from_ref(favourite).addr());
    if idle {
        // Release: pairs with the acquire in `Slab::favours`. What that heap's thread marked came before it let the heap
        // rest, under this lock.
        slab.favourite.store(NOBODY, Ordering::Release);
    }
    // Acquire: pairs with the release in `Heap::count`. The marks of the frees before that count are seen.
    let steps = favourite.steps.load(Ordering::Acquire) as u16;
    // SAFETY: nobody's; the lock is held.
    let ended = unsafe { slab.local.look(|local| local.ended) };
    idle || steps != ended || planted(Fault::LifeEarly)
}

/// Whether the owner named so was a thread of the parent, before a fork.
pub fn has_vanished(owner: usize) -> bool {
    // SAFETY: what is neither of the two marks is a heap's address, and heaps live as long as slabs.
    owner > ORPHANED
        && unsafe {
            (*ptr::with_exposed_provenance::<Heap>(owner)).vanished.load(Ordering::Relaxed)
        }
}

/// A block that was freed while it was free.
pub fn double_free(address: usize, slab: *const Slab) -> Misuse {
    // SAFETY: headers live as long as their engine.
    let size = (!slab.is_null()).then(|| unsafe { (*slab).size.load(Ordering::Relaxed) });
    let state = BlockState::Free;
    Misuse { kind: MisuseKind::DoubleFree, address, size, state, found: Found::Late }
}
