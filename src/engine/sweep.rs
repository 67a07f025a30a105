//! What other threads freed comes back, and what is empty goes back.

use core::ptr;

use crate::engine::classes::{self, CLASSES};
use crate::engine::engine::Engine;
use crate::engine::heap::{IDLE, Own, bytes_of};
use crate::engine::shared::{Shared, double_free, headers};
use crate::engine::slab::placeholder::no_slab;
use crate::engine::slab::{Place, Slab};
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::RawLock;
use crate::sync::fault::{Fault, planted};

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Takes back what others freed in one slab. Whether that was anything.
    ///
    /// # Safety
    /// The calling thread owns `slab`, which is of the heap whose part `own` is.
    pub(super) unsafe fn sweep(&self, own: &mut Own, slab: *const Slab) -> bool {
        own.recheck |= !planted(Fault::SweepSure);
        // SAFETY: as the caller promises.
        unsafe { (*slab).sweep(|address| self.defer_double_free(address, slab)) > 0 }
    }

    /// As [`sweep`](Self::sweep), of a slab that nobody owns, under the span lock.
    ///
    /// # Safety
    /// Nobody owns `slab`.
    pub(super) unsafe fn sweep_locked(&self, shared: &mut Shared, slab: *const Slab) {
        // SAFETY: as the caller promises.
        unsafe {
            (*slab).sweep(|address| shared.defer(&self.os, double_free(address, slab)));
        }
    }

    /// Gives the oldest empty slabs back until at most `bound` bytes of them are left.
    pub(super) unsafe fn bound_idle(&self, own: &mut Own, bound: usize) {
        while own.idle_bytes > bound {
            let oldest = own.empties.last;
            // SAFETY: the owner's.
            unsafe {
                own.unlist(oldest);
                self.give_back(oldest);
            }
        }
    }

    /// Gives a slab without live blocks, which is on no list, back to the spans.
    ///
    /// # Safety
    /// The calling thread owns `slab`, and nobody else can come to do so.
    pub(super) unsafe fn give_back(&self, slab: *const Slab) {
        // SAFETY: as the caller promises.
        unsafe {
            let start = (*slab).start();
            self.page_map.set(start, bytes_of((*slab).class()), ptr::null());
            self.probe.pause();
            (*slab).retire(|address| self.defer_double_free(address, slab), headers::epoch_of);
            self.locked(|shared| shared.give_back(&self.os, slab, start));
        }
    }

    /// Takes back what others freed. Returns how many slabs that emptied.
    pub(super) unsafe fn sweep_flagged(&self, own: &mut Own) -> usize {
        let mut emptied = 0;
        own.recheck = false;
        // SAFETY: the owner's.
        unsafe {
            own.each(|own, slab| {
                let swept = (*slab).flagged() && self.sweep(own, slab);
                if swept && (*slab).local.with(|local| local.place) != Place::Current {
                    own.relist(slab);
                    emptied += usize::from((*slab).local.with(|local| local.used()) == 0);
                }
            });
            self.bound_idle(own, IDLE);
        }
        emptied
    }

    /// Lets go of current slabs of large classes that have no live block.
    pub(super) unsafe fn drop_idle_large(&self, own: &mut Own) {
        for class in classes::class_of(32 << 10, 1).unwrap_or(0)..CLASSES {
            let current = own.current[class];
            // SAFETY: the owner's.
            unsafe {
                if (*current).class() == class && (*current).count_used() == 0 {
                    own.drop_current(class, no_slab());
                }
                self.bound_idle(own, IDLE);
            }
        }
    }
}
