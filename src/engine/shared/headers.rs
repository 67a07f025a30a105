//! Headers of slabs, with their ledgers, and when one that has ended may be used again.

use core::ptr;

use crate::engine::classes;
use crate::engine::heap::{Heap, has_vanished};
use crate::engine::huge::header::{HugeBlock, HugeRef};
use crate::engine::pagemap::PageMap;
use crate::engine::shared::{LOOKS, Shared, double_free};
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::{NOBODY, Slab};
use crate::engine::span::Span;
use crate::os::Os;
use crate::sync::fault::{Fault, planted};
use crate::sync::{self, Ordering, step};

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

    /// Takes back retired slabs, a chain, and their spans.
    pub fn give_back<O: Os>(&mut self, os: &O, mut chain: Option<OwnedSlab>) {
        while let Some(slab) = chain {
            // Read before the slab is on another list.
            chain = slab.next();
            self.spans.free(os, slab.start(), classes::units(slab.class()), true);
            self.pool(slab);
            self.given_back += 1;
        }
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
                slab.set_in_grace(false);
                self.judge_end(os, slab.as_ptr());
                return Some(slab);
            }
            self.in_grace[class].push_front(slab);
        }
        if let Some(slab) = self.end_graces(os, class) {
            return Some(slab);
        }
        let place = self.cut(os, Slab::footprint(class))?.cast::<Slab>();
        // SAFETY: fresh zeroes of that size, at a multiple of 64; then a header that nobody knows.
        unsafe {
            Slab::create(place, class, self.headers);
            // A forked child finds whole headers in the chain.
            step();
            self.headers = place;
            self.header_count += 1;
            Some(OwnedSlab::new(place))
        }
    }

    /// Ends the grace periods of some headers of `class` whose biased freers are at no mark, though
    /// they have not counted one since. One of them is for the caller, the others go to the pool.
    ///
    /// A biased freer that frees no more would else keep all headers that it marked in. The call
    /// takes microseconds, and other processors' time, and the first in a process, which registers
    /// it, may take milliseconds; so it comes last, and is for several headers.
    #[cold]
    fn end_graces<O: Os>(&mut self, os: &O, class: usize) -> Option<OwnedSlab> {
        self.in_grace[class].last()?;
        // Pairs with the half in `Owner::at_mark`. The slabs have ended before this.
        if !sync::asymmetric_fence_heavy() {
            return None;
        }
        for _ in 0..LOOKS {
            let Some(slab) = self.in_grace[class].last() else { break };
            self.in_grace[class].remove(slab);
            // Acquire: pairs with the release there: its marks are seen.
            let at_mark =
                biased_heap_of(&slab).is_some_and(|freer| freer.at_mark.load(Ordering::Acquire));
            if at_mark {
                self.in_grace[class].push_front(slab);
                continue;
            }
            slab.set_in_grace(false);
            self.judge_end(os, slab.as_ptr());
            self.pools[class].push_front(slab);
        }
        let slab = self.pools[class].first()?;
        self.pools[class].remove(slab);
        Some(slab)
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
    pub fn judge_end<O: Os>(&mut self, os: &O, slab: *const Slab) {
        // SAFETY: headers live as long as the engine; it has ended; the lock is held.
        unsafe { (*slab).judge_end(|address| self.defer(os, double_free(address, slab))) };
    }

    /// Puts a header that nobody uses back.
    pub fn pool(&mut self, slab: OwnedSlab) {
        match biased_heap_of(&slab) {
            None => self.pools[slab.class()].push_front(slab),
            Some(_) => {
                slab.set_in_grace(true);
                self.in_grace[slab.class()].push_front(slab);
            }
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
