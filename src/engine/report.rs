//! Misuses: what a pointer is that is not a live block, and what was found late.

use crate::engine::classes::MIN_ALIGN;
use crate::engine::engine::Engine;
use crate::engine::shared::{Shared, double_free};
use crate::engine::slab::{HUGE, Slab};
use crate::misuse::{BlockState, Found, Misuse, MisuseKind};
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::{Ordering, RawLock};

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    pub(super) fn reject<T>(&self, misuse: Misuse) -> Result<T, Misuse> {
        self.misuses.fetch_add(1, Ordering::Relaxed);
        Err(misuse)
    }

    /// What a pointer is that lies in no slab.
    #[cold]
    pub(super) fn judge_nowhere(&self, address: usize) -> Misuse {
        self.locked(|shared| {
            let misuse =
                |kind, size, state| Misuse { kind, address, size, state, found: Found::AtCall };
            let ours = shared.spans.contains(address);
            if let Some(slab) = shared.huge.around(address) {
                // SAFETY: headers live as long as the engine.
                let slab = unsafe { &*slab };
                let size = Some(slab.size.load(Ordering::Relaxed));
                // At its start lies a block that waits, or one that was freed and allocated since the look.
                return match slab.start() == address {
                    true => misuse(MisuseKind::DoubleFree, size, BlockState::Free),
                    false => misuse(interior(address), size, BlockState::Live),
                };
            }
            match shared.huge.grave(address).filter(|_| !ours) {
                Some(size) => misuse(MisuseKind::DoubleFree, Some(size), BlockState::Returned),
                None if ours && address.is_multiple_of(MIN_ALIGN) => {
                    misuse(MisuseKind::DoubleFree, None, BlockState::Returned)
                }
                None if ours => misuse(MisuseKind::UnalignedPointer, None, BlockState::Unknown),
                None => misuse(MisuseKind::ForeignPointer, None, BlockState::Unknown),
            }
        })
    }

    /// Notes that the free block at `address` was freed again.
    #[cold]
    pub(super) fn defer_double_free(&self, address: usize, slab: *const Slab) {
        self.defer(double_free(address, slab));
    }

    /// Notes a misuse whose call is long over, for [`tell_deferred`](Self::tell_deferred).
    pub(super) fn defer(&self, misuse: Misuse) {
        self.locked(|shared| {
            shared.defer(&self.os, misuse);
            self.hint_deferred(shared);
        });
    }

    pub(super) fn hint_deferred(&self, shared: &Shared) {
        self.deferred.store(!shared.deferred.is_empty(), Ordering::Relaxed);
    }

    /// The huge block that starts at `address`. Under the span lock.
    pub(super) fn huge_at(&self, address: usize) -> Option<*const Slab> {
        let slab = self.page_map.slab_at(address);
        // SAFETY: headers live as long as the engine.
        let is =
            !slab.is_null() && unsafe { (*slab).class() == HUGE && (*slab).start() == address };
        is.then_some(slab)
    }

    /// Whether misuses found late wait to be told.
    #[inline]
    pub fn has_deferred(&self) -> bool {
        self.deferred.load(Ordering::Relaxed)
    }

    /// Hands the misuses deferred, to `hook`, outside the lock. Returns how many.
    #[cold]
    pub fn tell_deferred(&self, mut hook: impl FnMut(&Misuse)) -> usize {
        let mut told = 0;
        while self.has_deferred() {
            let batch = self.locked(|shared| {
                let batch = shared.deferred.take();
                self.hint_deferred(shared);
                batch
            });
            told += batch.iter().flatten().map(&mut hook).count();
        }
        told
    }
}

fn interior(address: usize) -> MisuseKind {
    match address.is_multiple_of(MIN_ALIGN) {
        true => MisuseKind::InteriorPointer,
        false => MisuseKind::UnalignedPointer,
    }
}

/// What a pointer is that lies in a slab, and is not a live block's.
#[cold]
pub fn judge_block(slab: *const Slab, address: usize) -> Misuse {
    // SAFETY: headers live as long as their engine.
    let header = unsafe { &*slab };
    let state = header.state_at(address);
    let size = Some(header.size.load(Ordering::Relaxed));
    let starts = header.index_of(address).is_some();
    let (kind, state, size) = match state {
        // Never allocated: there is no block.
        BlockState::Unknown if address.is_multiple_of(MIN_ALIGN) => {
            (MisuseKind::ForeignPointer, BlockState::Unknown, None)
        }
        // Live now, and was not at the check: somebody allocated it since. It was free.
        BlockState::Live if starts => (MisuseKind::DoubleFree, BlockState::Free, size),
        state if starts => (MisuseKind::DoubleFree, state, size),
        state => (interior(address), state, size),
    };
    Misuse { kind, address, size, state, found: Found::AtCall }
}
