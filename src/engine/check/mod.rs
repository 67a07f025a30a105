//! What an engine says of itself: figures, and whether its invariants hold.

use crate::engine::classes::{CLASSES, UNIT};
use crate::engine::engine::Engine;
use crate::engine::heap::{Heap, bytes_of};
use crate::engine::slab::Place;
pub use crate::engine::stats::{ClassStats, LayerStats};
use crate::os::Os;
use crate::probe::Probe;
use crate::stats::{Broken, Stats};
use crate::sync::{Ordering, RawLock};

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// The figures: exact while nobody allocates or frees. Walks every ledger.
    pub fn stats(&self) -> Stats {
        self.locked(|shared| {
            let mut stats = Stats {
                live_bytes: shared.huge.bytes,
                live_blocks: shared.huge.count,
                huge_blocks: shared.huge.count,
                misuses_at_call: self.misuses.load(Ordering::Relaxed) as u64,
                misuses_late: shared.deferred_count,
                mapped_bytes: (shared.spans.units - shared.spans.free + shared.spans.dirty) * UNIT
                    + shared.huge.bytes
                    + shared.huge.kept.bytes
                    + shared.huge.excess
                    + shared.header_bytes,
                ..Stats::default()
            };
            // Without a table of classes: the thread may have a small stack.
            shared.spans.each_used(|_, _, slab| {
                // SAFETY: null or a header; headers live as long as the engine, and their ledgers
                // can be read at any time.
                let Some(slab) = (unsafe { slab.as_ref() }) else { return };
                let live = slab.live();
                let free = slab.capacity() - live;
                stats.live_blocks += live;
                stats.live_bytes += live * slab.size;
                stats.free_blocks += free;
                stats.free_bytes += free * slab.size;
                stats.regions += 1;
                if free > 0 {
                    stats.largest_free = stats.largest_free.max(slab.size);
                }
            });
            stats
        })
    }

    /// Each class's figures.
    pub fn class_stats(&self, into: &mut [ClassStats; CLASSES]) {
        self.locked(|shared| {
            shared.spans.each_used(|_, _, slab| {
                if slab.is_null() {
                    return;
                }
                // SAFETY: headers live as long as the engine, and their ledgers can be read at any
                // time.
                let slab = unsafe { &*slab };
                let figures = &mut into[slab.class()];
                figures.slabs += 1;
                figures.live += slab.live();
                figures.capacity += slab.capacity();
            });
        });
    }

    /// The figures of what all heaps share.
    pub fn layer_stats(&self) -> LayerStats {
        self.locked(|shared| {
            let mut heaps = 0;
            let mut heap = self.heaps.load(Ordering::Relaxed).cast_const();
            while !heap.is_null() {
                heaps += 1;
                // SAFETY: heaps live as long as the engine.
                heap = unsafe { (*heap).next };
            }
            let (_, idle) = shared.idle.count();
            LayerStats {
                reserved_bytes: shared.spans.units * UNIT,
                span_bytes: (shared.spans.units - shared.spans.free) * UNIT - idle,
                idle_bytes: shared.spans.dirty * UNIT + idle,
                purged_bytes: shared.spans.purged * UNIT as u64,
                header_bytes: shared.header_bytes,
                huge_bytes: shared.huge.bytes,
                kept_bytes: shared.huge.kept.bytes,
                heaps,
                slabs_made: shared.made,
                slabs_given_back: shared.given_back,
                slabs_reclaimed: shared.reclaimed,
                locked: shared.locked,
                held: shared.held,
            }
        })
    }

    /// Walks what all heaps share, the abandoned slabs and `heap`, and names the first invariant
    /// that does not hold.
    ///
    /// # Safety
    /// The calling thread owns `heap`.
    pub unsafe fn check(&self, heap: &Heap) -> Result<(), Broken> {
        let broken = |invariant, address| Err(Broken { invariant, address });
        let mut found = self.locked(|shared| {
            if let Err((invariant, address)) = shared.spans.check() {
                return broken(invariant, address);
            }
            let (mut found, mut idle) = (Ok(()), (0, 0));
            shared.each_abandoned(|_, slab| {
                let address = slab.as_ptr().addr();
                if let Err(invariant) = slab.check() {
                    found = broken(invariant, address);
                }
                match slab.place() {
                    Place::Abandoned => {}
                    Place::Idle if slab.used() == 0 => idle = (idle.0 + 1, idle.1 + slab.bytes),
                    _ => found = broken("an abandoned slab knows that it is one", address),
                }
            });
            if shared.idle.count() != idle {
                found = broken("idle slabs are counted", 0);
            }
            found
        });
        // SAFETY: the calling thread owns the heap.
        let mut owner = unsafe { heap.owner() };
        let me = owner.address();
        owner.with(|own| {
            let (mut idle, mut slabs) = (0, 0);
            own.each(|_, slab| {
                slabs += 1;
                let address = slab.as_ptr().addr();
                if let Err(invariant) = slab.check() {
                    found = broken(invariant, address);
                }
                if slab.owner.load(Ordering::Relaxed) != me {
                    found = broken("a heap owns the slabs on its lists", address);
                }
                if self.page_map.slab_at(slab.start()) != slab.as_ptr() {
                    found = broken("the page map names a slab for its start", address);
                }
                if slab.place() == Place::Empty {
                    idle += bytes_of(slab.class());
                }
            });
            if slabs != own.slabs.count {
                found = broken("a heap's ring holds its slabs", me);
            }
            if idle != own.idle_bytes {
                found = broken("a heap counts the bytes of its empty slabs", me);
            }
        });
        found
    }
}

#[cfg(test)]
mod tests;
