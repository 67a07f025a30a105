//! Headers of slabs, with their ledgers, and when one that has ended may be used again.

use core::ptr;

use crate::engine::classes::{self, CLASSES};
use crate::engine::heap::{Heap, has_vanished};
use crate::engine::huge::header::{HugeBlock, HugeRef};
use crate::engine::pagemap::PageMap;
use crate::engine::shared::{LOOKS, Shared, double_free};
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::{NOBODY, Slab};
use crate::engine::span::Span;
use crate::os::Os;
use crate::sync::Ordering;
use crate::sync::fault::{Fault, planted};

/// What a slab is made of: both are nobody else's.
#[derive(Debug)]
pub struct NewSlab {
    /// The header, which has no span yet.
    pub header: OwnedSlab,
    /// The span.
    pub span: Span,
}

impl Shared {
    /// A span and a header for a slab of `class` that will be of `heap`, named in the page map's
    /// reach. `None` when the OS has no more.
    pub fn slab<O: Os>(
        &mut self,
        os: &O,
        page_map: &PageMap,
        class: usize,
        heap: *const Heap,
    ) -> Option<NewSlab> {
        let header = self.header(os, class, heap)?;
        let units = classes::units(class);
        let span = self.spans.allocate(os, units).filter(|span| {
            let reached = page_map.prepare(os, span.start, units * classes::UNIT);
            if !reached {
                self.spans.free(os, span.start, units, false);
            }
            reached
        });
        let Some(span) = span else {
            self.pool(header);
            return None;
        };
        self.spans.name(span.start, header.as_ptr());
        self.made += 1;
        Some(NewSlab { header, span })
    }

    /// Takes back a retired slab and its span.
    pub fn give_back<O: Os>(&mut self, os: &O, slab: OwnedSlab, start: usize) {
        self.spans.free(os, start, classes::units(slab.class()), true);
        self.pool(slab);
        self.given_back += 1;
    }

    /// A header of `class` that nobody uses, for `heap`.
    pub fn header<O: Os>(&mut self, os: &O, class: usize, heap: *const Heap) -> Option<OwnedSlab> {
        if let Some(pooled) = self.pools[class].first() {
            self.pools[class].remove(pooled);
            return Some(pooled);
        }
        // What ended first is the likeliest to be over. What is not goes behind, or one idle biased
        // freer would bar the way to all others' slabs.
        for _ in 0..LOOKS {
            let Some(slab) = self.in_grace[class].last() else { break };
            self.in_grace[class].remove(slab);
            if grace_is_over(slab, heap) {
                self.judge_end(os, slab);
                return Some(slab);
            }
            self.in_grace[class].push_front(slab);
        }
        let place = self.cut(os, Slab::footprint(class))?.cast::<Slab>();
        // SAFETY: fresh zeroes of that size, at a multiple of 64; then a header that nobody knows.
        unsafe {
            Slab::create(place, class);
            Some(OwnedSlab::new(place))
        }
    }

    /// A header for a huge block.
    pub fn huge_header<O: Os>(&mut self, os: &O) -> Option<HugeRef> {
        if let Some(pooled) = self.huge.pooled() {
            return Some(pooled);
        }
        let place = self.cut(os, size_of::<HugeBlock>())?;
        // SAFETY: fresh memory of that size, at a multiple of 64, for as long as the engine lives.
        unsafe { HugeRef::create(place.cast()) }
    }

    /// Notes the marks that came to a slab, which is in its grace period or was just taken from
    /// there, after its end.
    fn judge_end<O: Os>(&mut self, os: &O, slab: OwnedSlab) {
        // SAFETY: ended; the lock is held.
        unsafe { slab.judge_end(|address| self.defer(os, double_free(address, slab.as_ptr()))) };
    }

    /// As above, for all in their grace period.
    pub fn judge_ended<O: Os>(&mut self, os: &O) {
        for class in 0..CLASSES {
            let mut next = self.in_grace[class].first();
            while let Some(slab) = next
                && !planted(Fault::EndUnseen)
            {
                self.judge_end(os, slab);
                next = slab.next();
            }
        }
    }

    /// Puts a header that nobody uses back.
    pub fn pool(&mut self, slab: OwnedSlab) {
        match biased_heap_of(&slab) {
            None => self.pools[slab.class()].push_front(slab),
            Some(_) => self.in_grace[slab.class()].push_front(slab),
        }
    }
}

/// The heap whose marks in the slab are plain stores, if there is one.
pub fn biased_heap_of(slab: &Slab) -> Option<&Heap> {
    heap_at(slab.biased_to.load(Ordering::Relaxed))
}

/// The low bits of the count that a slab that ends notes of its biased freer, which is at `heap`,
/// or [`NOBODY`].
pub fn epoch_of(heap: usize) -> u16 {
    heap_at(heap).map_or(0, |heap| heap.epoch.load(Ordering::Relaxed) as u16)
}

/// The heap at an address that a slab names, unless that is [`NOBODY`].
fn heap_at<'a>(address: usize) -> Option<&'a Heap> {
    // SAFETY: an address that a slab names and that is not `NOBODY` is a heap's; heaps live as long
    // as slabs.
    (address != NOBODY).then(|| unsafe { &*ptr::with_exposed_provenance(address) })
}

/// Whether a slab's grace period is over, so that another life can begin, for `owner`: it has no
/// biased freer (see [`remote`](crate::engine::slab::remote)); or that is in the middle of no free,
/// and then it is none any more; or its epoch is another. Under the span lock.
fn grace_is_over(slab: OwnedSlab, owner: *const Heap) -> bool {
    let Some(freer) = biased_heap_of(&slab) else { return true };
    let idle = ptr::eq(freer, owner)
        || freer.parked_since.load(Ordering::Relaxed) != 0
        || has_vanished(ptr::from_ref(freer).addr());
    if idle {
        // Release: pairs with the acquire in `Slab::is_biased_to`. What that heap's thread marked
        // came before it was parked, under this lock.
        slab.biased_to.store(NOBODY, Ordering::Release);
    }
    // Acquire: pairs with the release in `Heap::advance_epoch`. The marks of the frees before that
    // count are seen.
    let epoch = freer.epoch.load(Ordering::Acquire) as u16;
    idle || epoch != slab.ended_epoch() || planted(Fault::LifeEarly)
}
