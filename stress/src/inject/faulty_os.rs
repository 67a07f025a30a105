//! The OS of the allocators that are linked in: the kernel's, unless a call is to fail.
//!
//! What fails stands in statics of this process, since a heap's OS is a type with no size. With
//! nothing armed a call costs one load more.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use drystone::internals::{Mmap, Os};

use crate::inject::failed_unmaps::{FailedUnmaps, Size};
use crate::model::injection::{Calls, InjectionPlan};

/// The kernel's memory, with failures.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultyOs;

static ARMED: AtomicBool = AtomicBool::new(false);
static PLAN: Mutex<InjectionPlan> = Mutex::new(InjectionPlan::None);
static MADE: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);
/// Bytes mapped and not unmapped.
static MAPPED: AtomicI64 = AtomicI64::new(0);
/// What an unmapping has failed for.
static FAILED_UNMAPS: Mutex<FailedUnmaps> = Mutex::new(FailedUnmaps::new());
/// Its bytes. Relaxed wherever it is used: stored with the lock held, and who unmaps for the second
/// time what it could not at the first has seen that store, since the heap hands the mapping on in
/// order.
static FAILED_UNMAP_BYTES: AtomicU64 = AtomicU64::new(0);

/// Calls fail by `plan` from now on, and counts from 0.
pub fn arm(plan: InjectionPlan) {
    *lock() = plan;
    // Relaxed: the release below publishes them.
    MADE.store(0, Ordering::Relaxed);
    FAILED.store(0, Ordering::Relaxed);
    // Release: pairs with the acquire in `fails`, so that whoever sees it armed sees the plan.
    ARMED.store(true, Ordering::Release);
}

/// All calls pass from now on; what became of them.
pub fn disarm() -> Calls {
    // Relaxed: whoever still sees it armed is under way, and counted or not.
    ARMED.store(false, Ordering::Relaxed);
    Calls { made: MADE.load(Ordering::Relaxed), failed: FAILED.load(Ordering::Relaxed) }
}

/// Whether calls may fail now.
pub fn armed() -> bool {
    // Relaxed: asked by who has armed it, or was started after that.
    ARMED.load(Ordering::Relaxed)
}

/// What heaps have mapped in this process and not unmapped, and what of it they wanted to unmap and
/// could not.
pub fn size() -> Size {
    // Relaxed: asked at rest.
    let mapped = MAPPED.load(Ordering::Relaxed).max(0).cast_unsigned();
    Size { mapped, failed_unmaps: FAILED_UNMAP_BYTES.load(Ordering::Relaxed) }
}

/// Changes the failed unmaps.
fn failed_unmaps(change: impl FnOnce(&mut FailedUnmaps)) {
    // To wait for the lock must not show in errno, which the checker looks at.
    drystone::internals::errno::kept(|| {
        let mut failed = FAILED_UNMAPS.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut failed);
        FAILED_UNMAP_BYTES.store(failed.bytes(), Ordering::Relaxed);
    });
}

/// The heap unmaps `bytes` from `start` on, or goes on to use them, whatever failed of them before.
/// Said before the call: afterwards they may be somebody else's.
fn gone(start: *mut u8, bytes: usize) {
    if FAILED_UNMAP_BYTES.load(Ordering::Relaxed) > 0 {
        failed_unmaps(|failed| failed.remove(start.addr() as u64, bytes as u64));
    }
}

fn lock() -> std::sync::MutexGuard<'static, InjectionPlan> {
    PLAN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fails() -> bool {
    // Acquire: pairs with the release in `arm`.
    if !ARMED.load(Ordering::Acquire) {
        return false;
    }
    // Relaxed: a number, which publishes nothing.
    let number = MADE.fetch_add(1, Ordering::Relaxed) + 1;
    // To wait for the lock must not show in errno, which the checker looks at.
    let fails = drystone::internals::errno::kept(|| lock().fails(number));
    if fails {
        FAILED.fetch_add(1, Ordering::Relaxed);
    }
    fails
}

fn counted(start: *mut u8, bytes: usize) -> *mut u8 {
    if !start.is_null() {
        // Relaxed: a sum that is read at rest.
        MAPPED.fetch_add(bytes as i64, Ordering::Relaxed);
    }
    start
}

// SAFETY: passes on what the kernel gives, or null, which says that there is none.
unsafe impl Os for FaultyOs {
    fn map(&self, bytes: usize) -> *mut u8 {
        if fails() { std::ptr::null_mut() } else { counted(Mmap.map(bytes), bytes) }
    }

    unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
        if fails() {
            failed_unmaps(|failed| failed.add(start.addr() as u64, bytes as u64));
            return false;
        }
        gone(start, bytes);
        // SAFETY: the mapping is the caller's, and nobody uses it any more.
        let unmapped = unsafe { Mmap.unmap(start, bytes) };
        if unmapped {
            // Relaxed: a sum that is read at rest.
            MAPPED.fetch_sub(bytes as i64, Ordering::Relaxed);
        } else {
            // By the kernel, which comes to the same.
            failed_unmaps(|failed| failed.add(start.addr() as u64, bytes as u64));
        }
        unmapped
    }

    unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        if fails() {
            return std::ptr::null_mut();
        }
        gone(start, old);
        // SAFETY: `start` and `old` are a mapping of the caller's, which gives it up for the
        // result.
        let moved = unsafe { Mmap.remap(start, old, new, may_move) };
        if !moved.is_null() {
            // Relaxed: as above.
            MAPPED.fetch_add(new as i64 - old as i64, Ordering::Relaxed);
        }
        moved
    }

    fn reserve(&self, bytes: usize, align: usize) -> *mut u8 {
        if fails() {
            return std::ptr::null_mut();
        }
        counted(Mmap.reserve(bytes, align), bytes)
    }

    unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: the pages are the caller's, and nobody needs what is in them.
        !fails() && unsafe { Mmap.decommit(start, bytes) }
    }

    fn entropy(&self) -> u64 {
        Mmap.entropy()
    }
}
