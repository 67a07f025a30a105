//! How a slab's lives begin and end.

use crate::engine::classes::{self, UNIT};
use crate::engine::slab::ledger::{END, Entry, LIVE, UNCARVED, WAITING};
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::{NOBODY, Place, Slab, nothing, wake};
use crate::sync::fault::{Fault, planted};
use crate::sync::{self, Ordering};

impl Slab {
    /// Bytes that a header of `class` takes with its ledger.
    pub fn footprint(class: usize) -> usize {
        size_of::<Slab>() + Slab::entries(class) * size_of::<Entry>()
    }

    /// Entries of a ledger: one for every multiple of the block size in the span. The last may
    /// stand for the tail, and is never carved.
    fn entries(class: usize) -> usize {
        if cfg!(loom) {
            return classes::capacity(class) + 1;
        }
        (classes::units(class) * UNIT).div_ceil(classes::size_of(class))
    }

    /// Makes a header of `class` at `place`, with an uncarved ledger; `older` is the one made
    /// before it.
    ///
    /// # Safety
    /// `place` has [`footprint`](Self::footprint) bytes of zero that are nobody else's, at a
    /// multiple of a `Slab`'s alignment.
    pub unsafe fn create(place: *mut Slab, class: usize, older: *const Slab) {
        let mut slab = nothing();
        let size = classes::size_of(class);
        slab.reciprocal = u64::MAX / size as u64 + 1;
        slab.size = size;
        slab.bytes = classes::units(class) * UNIT;
        slab.capacity = classes::capacity(class) as u16;
        slab.class = class as u16;
        slab.older = older;
        // SAFETY: the place is large enough and ours. Zeroed entries are valid ones outside loom.
        unsafe {
            place.write(slab);
            #[cfg(loom)]
            for index in 0..Slab::entries(class) {
                place.add(1).cast::<Entry>().add(index).write(Entry::new());
            }
        }
    }
}

impl OwnedSlab {
    /// Begins a life: nobody's slab becomes the heap's at `owner`, over the span at `start`.
    ///
    /// # Safety
    /// The slab is nobody's and comes from the pool; the caller has the span lock, or is alone with
    /// the slab since.
    pub unsafe fn start_at(self, start: usize, clean: bool, owner: usize) {
        let size = self.size;
        self.base.store(start - size, Ordering::Relaxed);
        // Pairs with the fence in `mark`.
        if !planted(Fault::StartUnfenced) {
            sync::fence(Ordering::Release);
        }
        self.with(|local| {
            local.head = END;
            local.carved = 0;
            local.wake_at = (self.capacity() - wake(self.capacity())) as i32;
            local.base = start - size;
            local.size = size;
            local.clean = clean;
            local.put_with(Place::Nowhere, 0);
        });
        self.owner.store(owner, Ordering::Release);
    }

    /// Ends a life: every entry is counted on, so that an exchange on its way fails. The biased
    /// freer's store may still come: the header's grace period begins. `epoch_of` is asked for the
    /// low bits of the epoch of the heap at an address, or of [`NOBODY`]. `double_freed` as in
    /// [`sweep`](Self::sweep).
    ///
    /// # Safety
    /// None of the slab's blocks is live, and the page map has let go of it.
    pub unsafe fn retire(
        self,
        mut double_freed: impl FnMut(usize),
        epoch_of: impl FnOnce(usize) -> u16,
    ) {
        let (carved, base, size) =
            self.look(|local| (usize::from(local.carved), local.base, local.size));
        for index in 0..carved {
            // SAFETY: below `carved`.
            let entry = unsafe { self.entry(index) };
            entry.set_local(UNCARVED);
            for _ in 0..entry.bump() {
                double_freed(base + (index + 1) * size);
            }
        }
        self.with(|local| {
            local.carved = 0;
            local.head = END;
            local.put_with(Place::Nowhere, 0);
        });
        // An exchange, release: pairs with the acquire in `is_biased_to`.
        if !planted(Fault::EndUnclaimed) {
            let _ = self.biased_to.compare_exchange(
                NOBODY,
                NOBODY,
                Ordering::Release,
                Ordering::Relaxed,
            );
        }
        // Pairs with the fence behind a heap's count of its `epoch`.
        if !planted(Fault::EndUnfenced) {
            sync::fence(Ordering::SeqCst);
        }
        let epoch = epoch_of(self.biased_to.load(Ordering::Relaxed));
        self.with(|local| local.ended_epoch = epoch);
        self.remote.flag.store(false, Ordering::Relaxed);
        self.owner.store(NOBODY, Ordering::Release);
    }

    /// Makes list and count anew from the ledger: after a fork, the thread that vanished may have
    /// been anywhere. A block that was on its way out stays allocated, and is lost; one on its way
    /// in is free.
    ///
    /// # Safety
    /// The calling thread has the span lock, and the owner does not exist any more.
    pub unsafe fn rebuild(self) {
        // SAFETY: below the capacity.
        let entry = |index| unsafe { self.entry(index) };
        // `carved` may lag behind the entries that `carve` was writing.
        let carved = (0..self.capacity()).rev().find(|&index| entry(index).local() != UNCARVED);
        let carved = carved.map_or(0, |last| last + 1);
        self.with(|local| {
            local.carved = carved as u16;
            local.head = END;
            let mut used = 0;
            for index in (0..carved).rev() {
                let entry = entry(index);
                match entry.local() {
                    LIVE | WAITING => used += 1,
                    _ => {
                        // Free and marked: its owner was about to take it back, or the mark is a
                        // misuse. Which, nobody can tell any more, so nobody is accused.
                        entry.clear(entry.marks());
                        entry.set_local(local.head);
                        local.set_head(index as u16 + 1);
                    }
                }
            }
            local.put_with(Place::Nowhere, used);
        });
        // The sweep that the thread was in may have taken the flag down, and seen nothing yet.
        self.remote.flag.store(true, Ordering::Relaxed);
    }
}
