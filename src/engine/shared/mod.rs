//! What all heaps share, under the span lock: spans, headers, abandoned slabs, huge blocks, the
//! heaps themselves, and deferred misuses.
//!
//! # What exited threads leave
//! A heap whose thread has exited is parked here, and the next thread to begin has it whole:
//! threads that come and go cost no more than a list's first element. If none begins for a while,
//! the heap's slabs become abandoned slabs: each waits with its live blocks, and the next thread
//! that frees into it, or that needs a slab of its class, reclaims it. So the memory of exited
//! threads comes back to those who use it, one slab at a time, in programs that start no more
//! threads too. Empty slabs that a heap does not need are left in the same way: see [`idle`].

pub mod abandoned;
pub mod deferred;
pub mod headers;
pub mod idle;
mod reported_early;

use core::ptr;

use crate::engine::classes::CLASSES;
use crate::engine::heap::{Heap, Parked};
use crate::engine::huge::Huge;
use crate::engine::shared::deferred::Deferred;
use crate::engine::shared::idle::Idle;
use crate::engine::shared::reported_early::ReportedEarly;
use crate::engine::slab::Slab;
use crate::engine::slab::owned::List;
use crate::engine::span::Spans;
use crate::misuse::{BlockState, Found, Misuse, MisuseKind};
use crate::os::Os;
use crate::sync::Ordering;
use crate::sync::fault::{Fault, planted};

/// Bytes of a chunk that headers are cut from, at least, and at most: an eighth of what there is. A
/// process may have some 65,000 mappings, and each chunk is two, with its guards.
const CHUNK: usize = 256 << 10;
const LARGEST_CHUNK: usize = 64 << 20;

/// Slabs that are swept, abandoned or given back in one step, under one taking of the span lock: a
/// few microseconds each. Between two steps other calls go on.
pub const AT_ONCE: usize = 8;

/// Abandoned slabs of a class that a refill looks at.
const LOOKS: usize = 8;

/// See the [module](self).
pub struct Shared {
    /// Runs of units.
    pub spans: Spans,
    /// Blocks with mappings of their own.
    pub huge: Huge,
    /// Headers without a span, by class. What ended last is first.
    pools: [List; CLASSES],
    /// As above, with a biased freer, which may be in the middle of a free.
    in_grace: [List; CLASSES],
    abandoned: [List; CLASSES],
    /// Those of them that are empty, and were left so.
    pub idle: Idle,
    /// Heaps that no thread has, the last left first.
    parked: Heaps,
    /// The same, without slabs.
    parked_empty: Heaps,
    /// A heap that has been parked for long has lost some slabs, and has more.
    pub is_abandoning: bool,
    /// All headers, the last made first: a chain, through [`Slab::older`].
    pub headers: *const Slab,
    /// How many there are.
    pub header_count: usize,
    /// Where the scan of all headers goes on; null while there is none.
    pub scan_at: *const Slab,
    /// Pairs of marks that were reported before their slab's owner has seen them.
    reported_early: ReportedEarly,
    /// The chunk that headers are cut from: its next free byte, and its end. Its first word points
    /// to the chunk before it.
    cursor: *mut u8,
    end: *mut u8,
    chunks: *mut u8,
    /// Bytes of all chunks.
    pub header_bytes: usize,
    /// Misuses that wait to be told.
    pub deferred: Deferred,
    /// All that were ever deferred.
    pub deferred_count: u64,
    /// How often the lock was taken.
    pub locked: u64,
    /// Nanoseconds that it was held, while that is measured.
    pub held: u64,
    /// Slabs made and given back, ever.
    pub made: u64,
    /// As above.
    pub given_back: u64,
    /// Slabs reclaimed.
    pub reclaimed: u64,
}

// SAFETY: the pointers are to memory of the engine's own, which belongs to no thread.
unsafe impl Send for Shared {}

impl Shared {
    /// Nothing yet.
    pub const fn new() -> Shared {
        Shared {
            spans: Spans::new(),
            huge: Huge::new(),
            pools: [List::new(); CLASSES],
            in_grace: [List::new(); CLASSES],
            abandoned: [List::new(); CLASSES],
            idle: Idle::new(),
            parked: Heaps::new(),
            parked_empty: Heaps::new(),
            is_abandoning: false,
            headers: ptr::null(),
            header_count: 0,
            scan_at: ptr::null(),
            reported_early: ReportedEarly::new(),
            cursor: ptr::null_mut(),
            end: ptr::null_mut(),
            chunks: ptr::null_mut(),
            header_bytes: 0,
            deferred: Deferred::new(),
            deferred_count: 0,
            locked: 0,
            held: 0,
            made: 0,
            given_back: 0,
            reclaimed: 0,
        }
    }

    /// `bytes` zeroed bytes at a multiple of 64, for ever.
    pub fn cut<O: Os>(&mut self, os: &O, bytes: usize) -> Option<*mut u8> {
        let bytes = bytes.next_multiple_of(64);
        if (self.end.addr() - self.cursor.addr()) < bytes {
            // A whole chunk, or what is asked for where that is more; where the OS has less, less.
            let least = (bytes + 64).next_multiple_of(crate::os::PAGE);
            let part = (self.header_bytes / 8).next_multiple_of(CHUNK).min(LARGEST_CHUNK);
            let mut size = CHUNK.max(part).max(least);
            let chunk = loop {
                let chunk = os.reserve_guarded(size, crate::os::PAGE);
                if !chunk.is_null() {
                    break chunk;
                }
                if size == least {
                    return None;
                }
                size = (size / 2).next_multiple_of(crate::os::PAGE).max(least);
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

    /// Defers a misuse. Without memory for it, it is only counted.
    pub fn defer<O: Os>(&mut self, os: &O, misuse: Misuse) {
        let is_reported =
            misuse.kind == MisuseKind::DoubleFree && self.reported_early.take(misuse.address);
        if is_reported && !planted(Fault::ReportedTwice) {
            return;
        }
        self.deferred_count += 1;
        if self.deferred.is_full()
            && let bytes = self.deferred.bytes_of_more()
            && let Some(room) = self.cut(os, bytes)
        {
            // SAFETY: that many bytes, for ever, at a multiple of 64.
            unsafe { self.deferred.move_to(room.cast()) };
        }
        self.deferred.push(misuse);
    }

    /// Defers the double free of the block at `address`, which has two marks, and notes that its
    /// slab's owner will report it once more. False without room for the note: then nothing is
    /// reported.
    pub fn defer_early<O: Os>(&mut self, os: &O, address: usize, slab: *const Slab) -> bool {
        if self.reported_early.contains(address) {
            return true;
        }
        let noted = !self.reported_early.is_full();
        if noted {
            self.defer(os, double_free(address, slab));
            self.reported_early.add(address);
        }
        noted
    }

    /// Forgets what a forked child rebuilds or does without.
    #[cfg(not(loom))]
    pub fn forget(&mut self) {
        let none = [List::new(); CLASSES];
        (self.pools, self.in_grace, self.abandoned) = (none, none, none);
        self.idle = Idle::new();
        (self.parked, self.parked_empty) = (Heaps::new(), Heaps::new());
        (self.is_abandoning, self.scan_at) = (false, ptr::null());
        self.reported_early.clear();
        (self.cursor, self.end) = (ptr::null_mut(), ptr::null_mut());
        self.deferred = Deferred::new();
        self.huge.forget();
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
                os.unmap_guarded(chunk, size);
                chunk = next;
            }
        }
        self.chunks = ptr::null_mut();
    }
}

/// A block that was freed while it was free.
pub fn double_free(address: usize, slab: *const Slab) -> Misuse {
    // SAFETY: headers live as long as their engine.
    let size = (!slab.is_null()).then(|| unsafe { (*slab).size });
    let state = BlockState::Free;
    Misuse { kind: MisuseKind::DoubleFree, address, size, state, found: Found::Late }
}

/// A list of heaps that no thread has, through the heaps: the last left first. Under the span lock.
pub struct Heaps {
    first: *const Heap,
    last: *const Heap,
}

impl Heaps {
    /// None.
    pub const fn new() -> Heaps {
        Heaps { first: ptr::null(), last: ptr::null() }
    }

    /// The one left last.
    pub fn first(&self) -> Option<&'static Heap> {
        // SAFETY: heaps live as long as the engine, and none is looked at after it.
        unsafe { self.first.as_ref() }
    }

    /// The one that has been here longest.
    pub fn last(&self) -> Option<&'static Heap> {
        // SAFETY: heaps live as long as the engine, and none is looked at after it.
        unsafe { self.last.as_ref() }
    }

    /// Puts `heap`, which is on no list, in front, or behind.
    pub fn push(&mut self, heap: &Heap, behind: bool) {
        let place = ptr::from_ref(heap);
        let (previous, next) = match behind {
            true => (self.last, ptr::null()),
            false => (ptr::null(), self.first),
        };
        links(heap, |links| *links = Parked { previous, next });
        // SAFETY: null or a parked heap; heaps live as long as the engine.
        match unsafe { previous.as_ref() } {
            None => self.first = place,
            Some(previous) => links(previous, |links| links.next = place),
        }
        // SAFETY: null or a parked heap; heaps live as long as the engine.
        match unsafe { next.as_ref() } {
            None => self.last = place,
            Some(next) => links(next, |links| links.previous = place),
        }
    }

    /// Takes `heap`, which is on this list, off.
    pub fn remove(&mut self, heap: &Heap) {
        let Parked { previous, next } = links(heap, |links| *links);
        // SAFETY: null or a parked heap; heaps live as long as the engine.
        match unsafe { previous.as_ref() } {
            None => self.first = next,
            Some(previous) => links(previous, |links| links.next = next),
        }
        // SAFETY: null or a parked heap; heaps live as long as the engine.
        match unsafe { next.as_ref() } {
            None => self.last = previous,
            Some(next) => links(next, |links| links.previous = previous),
        }
    }
}

/// Runs `f` on a heap's links.
fn links<R>(heap: &Heap, f: impl FnOnce(&mut Parked) -> R) -> R {
    // SAFETY: the span lock is held wherever a list of parked heaps is touched, and nothing else
    // touches these links.
    unsafe { heap.parked.with(f) }
}

/// Since when no thread has it, in milliseconds; 0 while one has.
pub fn parked_since(heap: &Heap) -> u64 {
    heap.parked_since.load(Ordering::Relaxed) as u64
}
