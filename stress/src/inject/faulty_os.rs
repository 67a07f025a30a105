//! The OS of the subjects that are linked in: the kernel's, unless a call is to be refused.
//!
//! What is refused stands in statics of this process, since a heap's OS is a type with no size. With
//! nothing armed a call costs one load more.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use drystone::{Mmap, Os};

use crate::inject::failed_unmaps::{Kept, Size};
use crate::model::injection::{Calls, Plan};

/// The kernel's memory, with refusals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusable;

static ARMED: AtomicBool = AtomicBool::new(false);
static PLAN: Mutex<Plan> = Mutex::new(Plan::None);
static MADE: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);
/// Bytes mapped and not unmapped.
static MAPPED: AtomicI64 = AtomicI64::new(0);
/// What an unmapping was refused for.
static KEPT: Mutex<Kept> = Mutex::new(Kept::new());
/// Its bytes. Relaxed wherever it is used: stored with the lock held, and who unmaps for the second time what was
/// kept at the first has seen that store, since the heap hands the mapping on in order.
static KEPT_BYTES: AtomicU64 = AtomicU64::new(0);

/// Refuses by `plan` from now on, and counts from 0.
pub fn arm(plan: Plan) {
    *lock() = plan;
    // Relaxed: the release below publishes them.
    MADE.store(0, Ordering::Relaxed);
    REFUSED.store(0, Ordering::Relaxed);
    // Release: pairs with the acquire in `refuses`, so that whoever sees it armed sees the plan.
    ARMED.store(true, Ordering::Release);
}

/// Refuses nothing from now on; what became of the calls.
pub fn disarm() -> Calls {
    // Relaxed: whoever still sees it armed is under way, and counted or not.
    ARMED.store(false, Ordering::Relaxed);
    Calls { made: MADE.load(Ordering::Relaxed), refused: REFUSED.load(Ordering::Relaxed) }
}

/// Whether calls may be refused now.
pub fn armed() -> bool {
    // Relaxed: asked by who has armed it, or was started after that.
    ARMED.load(Ordering::Relaxed)
}

/// What heaps have mapped in this process and not unmapped, and what of it they wanted to unmap and were refused.
pub fn size() -> Size {
    // Relaxed: asked at rest.
    let mapped = MAPPED.load(Ordering::Relaxed).max(0).cast_unsigned();
    Size { mapped, kept: KEPT_BYTES.load(Ordering::Relaxed) }
}

/// Changes what is kept.
fn keep(change: impl FnOnce(&mut Kept)) {
    // To wait for the lock must not show in errno, which the checker looks at.
    drystone::errno::kept(|| {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut kept);
        KEPT_BYTES.store(kept.bytes(), Ordering::Relaxed);
    });
}

/// The heap unmaps `bytes` from `start` on, or goes on to use them, whatever was refused of them before. Said
/// before the call: afterwards they may be somebody else's.
fn gone(start: *mut u8, bytes: usize) {
    if KEPT_BYTES.load(Ordering::Relaxed) > 0 {
        keep(|kept| kept.gone(start.addr() as u64, bytes as u64));
    }
}

fn lock() -> std::sync::MutexGuard<'static, Plan> {
    PLAN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refuses() -> bool {
    // Acquire: pairs with the release in `arm`.
    if !ARMED.load(Ordering::Acquire) {
        return false;
    }
    // Relaxed: a number, which publishes nothing.
    let number = MADE.fetch_add(1, Ordering::Relaxed) + 1;
    // To wait for the lock must not show in errno, which the checker looks at.
    let refuses = drystone::errno::kept(|| lock().refuses(number));
    if refuses {
        REFUSED.fetch_add(1, Ordering::Relaxed);
    }
    refuses
}

fn counted(start: *mut u8, bytes: usize) -> *mut u8 {
    if !start.is_null() {
        // Relaxed: a sum that is read at rest.
        MAPPED.fetch_add(bytes as i64, Ordering::Relaxed);
    }
    start
}

// SAFETY: passes on what the kernel gives, or null, which says that it was refused.
unsafe impl Os for Refusable {
    fn map(&self, bytes: usize) -> *mut u8 {
        if refuses() { std::ptr::null_mut() } else { counted(Mmap.map(bytes), bytes) }
    }

    unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
        if refuses() {
            keep(|kept| kept.refused(start.addr() as u64, bytes as u64));
            return false;
        }
        gone(start, bytes);
        // SAFETY: the caller's.
        let unmapped = unsafe { Mmap.unmap(start, bytes) };
        if unmapped {
            // Relaxed: a sum that is read at rest.
            MAPPED.fetch_sub(bytes as i64, Ordering::Relaxed);
        } else {
            // By the kernel, which comes to the same.
            keep(|kept| kept.refused(start.addr() as u64, bytes as u64));
        }
        unmapped
    }

    unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        if refuses() {
            return std::ptr::null_mut();
        }
        gone(start, old);
        // SAFETY: the caller's.
        let moved = unsafe { Mmap.remap(start, old, new, may_move) };
        if !moved.is_null() {
            // Relaxed: as above.
            MAPPED.fetch_add(new as i64 - old as i64, Ordering::Relaxed);
        }
        moved
    }

    fn reserve(&self, bytes: usize, align: usize) -> *mut u8 {
        if refuses() {
            return std::ptr::null_mut();
        }
        counted(Mmap.reserve(bytes, align), bytes)
    }

    unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: the caller's.
        !refuses() && unsafe { Mmap.decommit(start, bytes) }
    }

    fn entropy(&self) -> u64 {
        Mmap.entropy()
    }
}
