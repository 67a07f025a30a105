//! Misuses: what a pointer is that is not a live block, and what was deferred until somebody asks.
//!
//! Every error that the engine returns passes through [`reject`](Engine::reject), which counts it.
//! What no call can be told of any more is deferred, and [`tell_deferred`](Engine::tell_deferred)
//! hands it over, outside the lock, once.

use crate::engine::classes::MIN_ALIGN;
use crate::engine::engine::Engine;
use crate::engine::huge::header::HugeRef;
use crate::engine::pagemap::Header;
use crate::engine::shared::{Shared, double_free};
use crate::engine::slab::Slab;
use crate::misuse::{BlockState, Found, Misuse, MisuseKind};
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::{Ordering, RawLock};

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    pub(super) fn reject<T>(&self, misuse: Misuse) -> Result<T, Misuse> {
        self.misuses.fetch_add(1, Ordering::Relaxed);
        Err(misuse)
    }

    /// Rejects a sized free of the live block at `address`, which holds `size` bytes.
    #[cfg(not(loom))]
    pub(super) fn reject_size(&self, address: usize, size: usize) -> Result<(), Misuse> {
        self.reject(Misuse {
            kind: MisuseKind::SizeMismatch,
            address,
            size: Some(size),
            state: BlockState::Live,
            found: Found::AtCall,
        })
    }

    /// What a pointer is that lies in no slab.
    #[cold]
    pub(super) fn judge_nowhere(&self, address: usize) -> Misuse {
        self.locked(|shared| {
            let misuse =
                |kind, size, state| Misuse { kind, address, size, state, found: Found::AtCall };
            // Where blocks lay once, or until just now: the map forgets a slab before its span is
            // free. Nothing is said of memory that never was used.
            let ours = shared.spans.was_used(address) || shared.spans.is_used(address);
            if let Some((start, size)) = shared.huge.around(address) {
                // At its start lies a block that waits, or one that was freed and allocated since
                // the look.
                return match start == address {
                    true => misuse(MisuseKind::DoubleFree, Some(size), BlockState::Free),
                    false => misuse(interior(address), Some(size), BlockState::Live),
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

    /// What a pointer is that lies in a slab, and is not a live block's.
    #[cold]
    pub(super) fn judge_block(&self, slab: *const Slab, address: usize) -> Misuse {
        // SAFETY: headers live as long as their engine.
        let header = unsafe { &*slab };
        let state = header.state_at(address);
        let size = Some(header.size);
        let starts = header.index_of(address).is_some();
        let (kind, state, size) = match state {
            BlockState::Unknown if address.is_multiple_of(MIN_ALIGN) => {
                // A slab that is ending has forgotten its blocks, and the map forgot it before.
                if self.page_map.slab_at(address) != slab {
                    return self.judge_nowhere(address);
                }
                // This slab never had a block there. One before it may have, or a huge one.
                let was_used = |shared: &mut Shared| {
                    shared.spans.was_used(address) || shared.huge.grave(address).is_some()
                };
                match self.locked(was_used) {
                    true => (MisuseKind::DoubleFree, BlockState::Free, None),
                    false => (MisuseKind::ForeignPointer, BlockState::Unknown, None),
                }
            }
            // Live now, and was not at the check: somebody allocated it since. It was free.
            BlockState::Live if starts => (MisuseKind::DoubleFree, BlockState::Free, size),
            state if starts => (MisuseKind::DoubleFree, state, size),
            state => (interior(address), state, size),
        };
        Misuse { kind, address, size, state, found: Found::AtCall }
    }

    /// Notes that the free block at `address` was freed again.
    #[cold]
    #[inline(never)]
    pub(super) fn defer_double_free(&self, address: usize, slab: *const Slab) {
        self.defer(double_free(address, slab));
    }

    /// As above, of a block in the slab that holds its address.
    #[cold]
    #[inline(never)]
    pub(super) fn defer_double_free_at(&self, address: usize) {
        self.defer_double_free(address, self.page_map.slab_at(address));
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

    /// Says whether slow calls have something to do.
    pub(super) fn note_background_work(&self, shared: &Shared) {
        self.background.put(usize::from(shared.is_abandoning || !shared.scan_at.is_null()));
    }

    /// The header of the huge block that may start at `address`. Under the span lock.
    pub(super) fn huge_at(&self, address: usize) -> Option<HugeRef> {
        match self.page_map.look_up(address) {
            Header::Huge(header) => Some(header),
            Header::Slab(_) | Header::None => None,
        }
    }

    /// Whether misuses that were deferred wait to be told.
    #[inline]
    pub fn has_deferred(&self) -> bool {
        self.deferred.load(Ordering::Relaxed)
    }

    /// Hands the deferred misuses to `hook`, outside the lock. Returns how many.
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
