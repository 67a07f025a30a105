//! C's functions in front of a heap that is a `static`: generic over where it is, so that each
//! allocator has functions of its own that can be pointed to.

use std::ffi::c_void;
use std::hint::black_box;

use drystone::{Misuse, Stats};
use drystone_checker::violation::{self, Kind};
use drystone_checker::witness::{Intrusion, Witness};
use drystone_workloads::calls::{Calls, MoreCalls};
use drystone_workloads::errno;

use crate::allocators::linked::heap::Linked;
use crate::allocators::process::{Fork, Held, OpenAllocator, Own};

/// Where an allocator's heap is.
pub trait Place: 'static {
    /// What kind of heap.
    type Heap: Linked;

    /// The heap.
    fn heap() -> &'static Self::Heap;

    /// Who watches its critical sections; none where they take no probe.
    fn witness() -> Option<&'static Witness>;

    /// Whether the heap may find a double free later than at its call, and is disturbed where races
    /// are lost: then each place where it may find one must come up, or the test did not race.
    const DEFERS_REPORTS: bool = false;

    /// Whether the heap's OS is [`FaultyOs`](crate::inject::faulty_os::FaultyOs).
    const OS_CAN_FAIL: bool = false;

    /// Whether the bytes that the heap says it has mapped are all that it has of the OS, with those
    /// that are reserved only.
    const ACCOUNTS: bool = false;
}

/// The allocator that is the heap at `P`.
pub fn allocator<P: Place>() -> OpenAllocator {
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
        deferred_reports: || P::heap().stats().misuses_late,
        fork: P::heap().survives_forks().then_some(Fork {
            prepare: || P::heap().fork_prepare(),
            // SAFETY: whoever forks calls one of the two after `prepare`, in the thread that each
            // is for.
            parent: || unsafe { P::heap().fork_parent() },
            // SAFETY: the thread that forked has called `fork_prepare`, and this is the child.
            child: || unsafe { P::heap().fork_child() },
        }),
        sweep: || P::heap().sweep(),
        trim: || P::heap().trim(),
        at_rest: P::witness().map(|_| at_rest::<P> as fn() -> Result<(), Intrusion>),
        defers_reports: P::DEFERS_REPORTS,
        os_can_fail: P::OS_CAN_FAIL,
        accounts: P::ACCOUNTS,
    };
    // Black boxes: the compiler must not know which functions these are, or it would inline them,
    // and drop a malloc whose block is freed at once.
    OpenAllocator {
        calls: black_box(calls),
        more: MoreCalls::default(),
        own: Some(black_box(own)),
        claims_detection: true,
    }
}

/// C's answer where there is no block. (Setting `errno` is the duty of whoever serves C's
/// functions, as here.)
fn or_enomem(block: *mut u8) -> *mut c_void {
    if block.is_null() {
        errno::set(libc::ENOMEM);
    }
    block.cast()
}

/// Workloads that use these functions free and resize live blocks only: whoever says otherwise
/// accuses a correct program.
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

fn at_rest<P: Place>() -> Result<(), Intrusion> {
    P::witness().map_or(Ok(()), Witness::at_rest)
}

unsafe fn try_free<P: Place>(block: *mut c_void) -> Result<(), Misuse> {
    // SAFETY: `block` is live and given up, or the heap rejects it.
    unsafe { P::heap().try_free(block.cast()) }
}

unsafe fn try_realloc<P: Place>(block: *mut c_void, size: usize) -> Result<*mut c_void, Misuse> {
    // SAFETY: `block` is live and given up for the result, or the heap rejects it.
    unsafe { P::heap().try_realloc(block.cast(), size) }.map(<*mut u8>::cast)
}
