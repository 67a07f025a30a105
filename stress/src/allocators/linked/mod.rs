//! Subjects that are linked in: heaps of Drystone's behind C's signatures.
//!
//! | subject | heap |
//! |---|---|
//! | `linked:list` | [`ListHeap`], with a witness in its critical sections |
//! | `linked:drystone` | [`drystone::Drystone`], as programs have it |
//! | `linked:engine` | the engine under it, with a witness in its critical sections and yields between checks and stores |
//!
//! A heap is a `static` that a [`Place`] names; the functions here are generic over the place, so each
//! subject has functions of its own that can be pointed to.

mod production;
pub mod watched;

use std::ffi::c_void;
use std::hint::black_box;

use drystone::{FutexLock, ListHeap, Misuse, Os, Probe, RawLock, Stats};
use drystone_checker::violation::{self, Kind};
use drystone_checker::witness::Witness;
use drystone_workloads::calls::Calls;
use drystone_workloads::errno;

use crate::allocators::linked::watched::Watched;
use crate::allocators::process::{Fork, Held, Own, Subject, Target};
use crate::inject::faulty_os::Refusable;

pub use production::{DRYSTONE, ENGINE, Watchable};

/// The classic allocator.
pub const LIST: Subject = Subject {
    name: "linked:list",
    about: "drystone::ListHeap: best fit, one mutex",
    open: || Ok(target::<ListPlace>()),
};

/// A heap that C's functions can be put in front of. The methods are those of [`ListHeap`].
#[allow(missing_docs, reason = "the methods are those of ListHeap")]
pub trait Linked: Sync {
    fn malloc(&self, size: usize) -> *mut u8;
    fn calloc(&self, count: usize, size: usize) -> *mut u8;
    fn malloc_aligned(&self, size: usize, alignment: usize) -> *mut u8;
    /// # Safety
    /// As [`ListHeap::try_free`].
    unsafe fn try_free(&self, block: *mut u8) -> Result<(), Misuse>;
    /// # Safety
    /// As [`ListHeap::try_realloc`].
    unsafe fn try_realloc(&self, block: *mut u8, size: usize) -> Result<*mut u8, Misuse>;
    fn usable_size(&self, block: *mut u8) -> Result<usize, Misuse>;
    fn stats(&self) -> Stats;
    fn check(&self) -> Result<(), String>;
    fn sweep(&self) -> usize;
    fn trim(&self) -> usize;
    /// Whether the three below do their part, or there is nothing for them to do.
    fn survives_forks(&self) -> bool {
        false
    }
    fn fork_prepare(&self) {}
    /// # Safety
    /// As [`ListHeap::fork_parent`].
    unsafe fn fork_parent(&self) {}
    /// # Safety
    /// As [`ListHeap::fork_child`].
    unsafe fn fork_child(&self) {}
}

/// The methods of [`Linked`] by the type's own of the same names.
macro_rules! own_methods {
    () => {
        fn malloc(&self, size: usize) -> *mut u8 {
            Self::malloc(self, size)
        }

        fn calloc(&self, count: usize, size: usize) -> *mut u8 {
            Self::calloc(self, count, size)
        }

        fn malloc_aligned(&self, size: usize, alignment: usize) -> *mut u8 {
            Self::malloc_aligned(self, size, alignment)
        }

        unsafe fn try_free(&self, block: *mut u8) -> Result<(), Misuse> {
            // SAFETY: the caller's.
            unsafe { Self::try_free(self, block) }
        }

        unsafe fn try_realloc(&self, block: *mut u8, size: usize) -> Result<*mut u8, Misuse> {
            // SAFETY: the caller's.
            unsafe { Self::try_realloc(self, block, size) }
        }

        fn usable_size(&self, block: *mut u8) -> Result<usize, Misuse> {
            Self::usable_size(self, block)
        }

        fn stats(&self) -> Stats {
            Self::stats(self)
        }

        fn check(&self) -> Result<(), String> {
            Self::check(self).map_err(|broken| broken.to_string())
        }

        fn sweep(&self) -> usize {
            Self::sweep(self, |_| {})
        }

        fn trim(&self) -> usize {
            Self::trim(self)
        }
    };
}
use own_methods;

impl<O: Os + Sync, P: Probe + Sync, L: RawLock + Sync> Linked for ListHeap<O, P, L> {
    own_methods!();

    fn survives_forks(&self) -> bool {
        true
    }

    fn fork_prepare(&self) {
        Self::fork_prepare(self);
    }

    unsafe fn fork_parent(&self) {
        // SAFETY: the caller's.
        unsafe { Self::fork_parent(self) }
    }

    unsafe fn fork_child(&self) {
        // SAFETY: the caller's.
        unsafe { Self::fork_child(self) }
    }
}

/// Where a subject's heap is.
pub trait Place: 'static {
    /// What kind of heap.
    type Heap: Linked;

    /// The heap.
    fn heap() -> &'static Self::Heap;

    /// Who watches its critical sections; none where they take no probe.
    fn witness() -> Option<&'static Witness>;

    /// Whether the heap may find a double free later than at its call, and is disturbed where races are
    /// lost: then each place where it may find one must come up, or the test did not race.
    const FINDS_LATE: bool = false;

    /// Whether the heap's OS is [`Refusable`].
    const REFUSABLE: bool = false;

    /// Whether the bytes that the heap says it has mapped are all that it has of the OS, with those that are
    /// reserved only.
    const ACCOUNTS: bool = false;
}

struct ListPlace;

static WITNESS: Witness = Witness::new();
static HEAP: ListHeap<Refusable, Watched, FutexLock> =
    ListHeap::with_parts(Refusable, Watched(&WITNESS), FutexLock::new());

impl Place for ListPlace {
    type Heap = ListHeap<Refusable, Watched, FutexLock>;

    const REFUSABLE: bool = true;
    const ACCOUNTS: bool = true;

    fn heap() -> &'static Self::Heap {
        &HEAP
    }

    fn witness() -> Option<&'static Witness> {
        Some(&WITNESS)
    }
}

/// The target that is the heap at `P`.
pub fn target<P: Place>() -> Target {
    let calls = Calls {
        malloc: malloc::<P>,
        calloc: calloc::<P>,
        realloc: realloc::<P>,
        aligned_alloc: aligned_alloc::<P>,
        free: free::<P>,
        usable_size: Some(usable_size::<P>),
    };
    let own = Own {
        try_free: try_free::<P>,
        try_realloc: try_realloc::<P>,
        check: || P::heap().check(),
        held: || {
            let Stats { live_blocks, mapped_bytes, regions, huge_blocks, .. } = P::heap().stats();
            Held { live_blocks, mapped_bytes, mappings: regions + huge_blocks }
        },
        late: || P::heap().stats().misuses_late,
        fork: P::heap().survives_forks().then_some(Fork {
            prepare: || P::heap().fork_prepare(),
            // SAFETY: whoever forks calls one of the two after `prepare`, in the thread that each is for.
            parent: || unsafe { P::heap().fork_parent() },
            // SAFETY: as above.
            child: || unsafe { P::heap().fork_child() },
        }),
        sweep: || P::heap().sweep(),
        trim: || P::heap().trim(),
        at_rest: P::witness().map(|_| at_rest::<P> as fn() -> Result<(), String>),
        finds_late: P::FINDS_LATE,
        refusable: P::REFUSABLE,
        accounts: P::ACCOUNTS,
    };
    // Black boxes: the compiler must not know which functions these are, or it would inline them, and
    // drop a malloc whose block is freed at once.
    Target { calls: black_box(calls), own: Some(black_box(own)), claims_detection: true }
}

/// C's answer to a refused request. (Setting `errno` is a front's duty, and this is one.)
fn or_enomem(block: *mut u8) -> *mut c_void {
    if block.is_null() {
        errno::set(libc::ENOMEM);
    }
    block.cast()
}

/// Workloads that use these functions free and resize live blocks only: whoever says otherwise accuses
/// a correct program.
#[cold]
fn accused(misuse: &Misuse) -> ! {
    violation::raise(Kind::FalseAlarm, "no misuse in a correct program", misuse.to_string())
}

extern "C" fn malloc<P: Place>(size: usize) -> *mut c_void {
    or_enomem(P::heap().malloc(size))
}

extern "C" fn calloc<P: Place>(count: usize, size: usize) -> *mut c_void {
    or_enomem(P::heap().calloc(count, size))
}

extern "C" fn aligned_alloc<P: Place>(alignment: usize, size: usize) -> *mut c_void {
    or_enomem(P::heap().malloc_aligned(size, alignment))
}

unsafe extern "C" fn realloc<P: Place>(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: C's contract for realloc is this one's.
    match unsafe { P::heap().try_realloc(block.cast(), size) } {
        Ok(moved) if size == 0 => moved.cast(),
        Ok(moved) => or_enomem(moved),
        Err(misuse) => accused(&misuse),
    }
}

unsafe extern "C" fn free<P: Place>(block: *mut c_void) {
    // SAFETY: C's contract for free is this one's.
    if let Err(misuse) = unsafe { P::heap().try_free(block.cast()) } {
        accused(&misuse);
    }
}

extern "C" fn usable_size<P: Place>(block: *mut c_void) -> usize {
    P::heap().usable_size(block.cast()).unwrap_or_else(|misuse| accused(&misuse))
}

fn at_rest<P: Place>() -> Result<(), String> {
    P::witness().map_or(Ok(()), Witness::at_rest).map_err(|intrusion| intrusion.to_string())
}

unsafe fn try_free<P: Place>(block: *mut c_void) -> Result<(), Misuse> {
    // SAFETY: the caller's.
    unsafe { P::heap().try_free(block.cast()) }
}

unsafe fn try_realloc<P: Place>(block: *mut c_void, size: usize) -> Result<*mut c_void, Misuse> {
    // SAFETY: the caller's.
    unsafe { P::heap().try_realloc(block.cast(), size) }.map(<*mut u8>::cast)
}
