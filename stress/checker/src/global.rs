//! Rust's allocators, called as if they were C's.
//!
//! C's `free` is told an address, [`GlobalAlloc::dealloc`] a layout too. The layouts stand in a
//! table beside the allocator: a header in front of each block would change every size and
//! alignment that the allocator is asked for, and would itself be a victim of what is looked for.
//!
//! | C's call | layout |
//! |---|---|
//! | `malloc(size)`, `realloc(null, size)` | `size`, aligned to 1 |
//! | `calloc(count, size)` | `count * size`, aligned to 1, by `alloc_zeroed` |
//! | `aligned_alloc(alignment, size)` | `size`, aligned to `alignment` |
//! | `realloc(block, size)` | as it was, resized to `size` |
//!
//! `GlobalAlloc` takes no size of 0, so that is asked for as 1. A size that no layout can have is
//! rejected here, with null and `ENOMEM`.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

use drystone_workloads::errno;

use crate::allocator::{Alignment, Allocator, Calls, Promises};

/// Where an allocator of Rust's is found: functions behind pointers can't carry it along, so it
/// hangs on a type.
///
/// ```
/// use std::alloc::System;
///
/// struct TheSystem;
///
/// impl drystone_checker::Global for TheSystem {
///     type Allocator = System;
///     fn get() -> &'static System {
///         &System
///     }
/// }
/// ```
pub trait Global {
    /// The allocator's type.
    type Allocator: GlobalAlloc + 'static;

    /// The allocator: the same one at every call.
    fn get() -> &'static Self::Allocator;
}

impl Allocator {
    /// An allocator of Rust's. It is asked for layouts of alignment 1, but by
    /// [`aligned_alloc`](crate::Checked::aligned_alloc), which takes any layout's alignment and
    /// size.
    ///
    /// # Safety
    /// [`Global::get`] returns the same allocator at every call, and the second condition of
    /// [`Allocator::new`] holds for what it returns. It must not call the checker.
    pub unsafe fn of_global<G: Global>() -> Self {
        let calls = Calls {
            malloc: malloc::<G>,
            calloc: calloc::<G>,
            realloc: realloc::<G>,
            aligned_alloc: aligned_alloc::<G>,
            free: free::<G>,
            usable_size: None,
        };
        let promises =
            Promises { alignment: Alignment::AsAsked, aligned_sizes: true, ..Promises::default() };
        // SAFETY: the functions below have C's signatures and meanings and end the process where
        // they would unwind; `GlobalAlloc` is for any thread. What `get` returns allocates memory
        // of the size asked for, which nothing else in the program uses.
        unsafe { Self::new(calls, promises) }
    }
}

/// Tables, so that threads seldom meet at one.
const SHARDS: usize = 64;

/// The layout of every live block, by its address; of all allocators, whose blocks lie apart.
static LAYOUTS: [Mutex<BTreeMap<usize, Layout>>; SHARDS] =
    [const { Mutex::new(BTreeMap::new()) }; SHARDS];

fn shard(block: usize) -> MutexGuard<'static, BTreeMap<usize, Layout>> {
    // Blocks of the smallest classes are 8 or 16 bytes apart.
    LAYOUTS[(block >> 4) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a block's layout out. The caller frees or resizes the block afterwards: only then can
/// another thread be given the address.
fn take_layout(block: *mut c_void) -> Layout {
    let layout = shard(block.addr()).remove(&block.addr());
    layout.expect("the checker frees live blocks of this allocator alone")
}

/// Enters a block; null is a request that was not met.
fn entered(block: *mut u8, layout: Layout) -> *mut c_void {
    if block.is_null() {
        return rejected();
    }
    shard(block.addr()).insert(block.addr(), layout);
    block.cast()
}

fn rejected() -> *mut c_void {
    errno::set(libc::ENOMEM);
    null_mut()
}

/// None for a size that no allocator can have.
fn layout(alignment: usize, size: usize) -> Option<Layout> {
    Layout::from_size_align(size.max(1), alignment).ok()
}

unsafe extern "C" fn malloc<G: Global>(size: usize) -> *mut c_void {
    // SAFETY: 1 is a power of two.
    unsafe { aligned_alloc::<G>(1, size) }
}

unsafe extern "C" fn calloc<G: Global>(count: usize, size: usize) -> *mut c_void {
    let Some(layout) = count.checked_mul(size).and_then(|size| layout(1, size)) else {
        return rejected();
    };
    // SAFETY: the layout's size is not 0.
    entered(unsafe { G::get().alloc_zeroed(layout) }, layout)
}

unsafe extern "C" fn aligned_alloc<G: Global>(alignment: usize, size: usize) -> *mut c_void {
    let Some(layout) = layout(alignment, size) else { return rejected() };
    // SAFETY: the layout's size is not 0.
    entered(unsafe { G::get().alloc(layout) }, layout)
}

unsafe extern "C" fn realloc<G: Global>(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        // SAFETY: malloc takes any size.
        return unsafe { malloc::<G>(size) };
    }
    let old = take_layout(block);
    if let Some(new) = layout(old.align(), size) {
        // SAFETY: the block is live and of this layout, which was entered when it was allocated;
        // the new size is not 0, and was seen to make a layout.
        let resized = unsafe { G::get().realloc(block.cast(), old, new.size()) };
        if !resized.is_null() {
            return entered(resized, new);
        }
    }
    // The block is what it was.
    shard(block.addr()).insert(block.addr(), old);
    rejected()
}

unsafe extern "C" fn free<G: Global>(block: *mut c_void) {
    if !block.is_null() {
        let layout = take_layout(block);
        // SAFETY: the block is live and of this layout, which was entered when it was allocated.
        unsafe { G::get().dealloc(block.cast(), layout) };
    }
}
