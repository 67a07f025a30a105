//! [`ListHeap`], the classic allocator: a linked list of free blocks with headers, best fit, LIFO
//! among equals, memory from `mmap`, double frees rejected, one mutex around all of it.
//!
//! ```text
//!  a region:  | block | block | block | ......................... | block | END |
//!              header + payload, no gaps, no two free ones side by side
//! ```
//!
//! Its parts, and one allocation through them: `ARCHITECTURE.md`.
//!
//! | request, with its 16 bytes of header | comes from |
//! |---|---|
//! | up to 512 KiB | the best fitting free block of a region; regions grow from 256 KiB to 4 MiB, or are smaller where the limit or the OS has no more |
//! | larger | a mapping of its own, without header, resized by `mremap`; one that shrinks below 256 KiB moves into a region |
//!
//! An alignment above 16 counts as if it were bytes asked for: a block at a multiple of 1 MiB has a
//! mapping of its own, of over 1 MiB of address space, which the limit counts. The search for one
//! looks at the last listed blocks of the 16 smallest sizes that could do, and then takes one that
//! surely does.
//!
//! # What goes back
//! A huge block at once. A region when it is wholly free, except the largest such, which is kept,
//! so that a program that frees its last block and allocates again does not map anew each time;
//! [`ListHeap::trim`] gives that back too, and so does a request for which the limit or the OS
//! would else have no memory. A heap that is dropped gives back everything.
//!
//! # Misuse
//! A pointer is looked up in the table of regions before a byte near it is read, and a header is
//! believed only if it bears its check value. What is wrong comes back as a [`Misuse`], and the
//! heap is as it was. The one lasting effect of a *stale* free, of a block that has been allocated
//! again since, is that of a legal one: no allocator can tell the two apart.

mod allocate;
mod check;
mod free;
mod global;
mod header;
mod index;
mod lookup;
mod regions;
mod release;
mod resize;
mod state;

use core::ptr;

use crate::misuse::Misuse;
use crate::os::{Mmap, Os};
use crate::probe::{NoProbe, Probe};
use crate::stats::{Broken, Stats};
use crate::sync::{AtomicBool, Cell, FutexLock, Ordering, RawLock, const_unless_loom};
use allocate::Allocation;
use header::HEADER;
use state::{Ground, State};

/// The alignment of every block, in bytes: that of the largest C scalar types.
pub const MIN_ALIGN: usize = HEADER;

/// The classic allocator, as a value: best fit, one mutex. See the [module](self).
///
/// A `static`, a field or a local variable can be one. A heap that is dropped gives back all its
/// memory.
///
/// It can be a program's `#[global_allocator]` too, but [`Drystone`](crate::Drystone) is the one for
/// that. A `ListHeap` does not know of forks by itself: a child that is forked while another thread
/// is in a call may find the lock taken for ever, and a fork in a signal handler that has
/// interrupted a call does. [`fork_prepare`](Self::fork_prepare) and its two companions are for
/// programs that register them with `pthread_atfork`; they hold the lock during the fork, so a
/// thread must not allocate from the heap while it has a lock that the C library takes for a fork,
/// such as those of its streams.
///
/// ```
/// use drystone::{ListHeap, MisuseKind};
///
/// static HEAP: ListHeap = ListHeap::new();
///
/// let block = HEAP.malloc(100);
/// assert!(!block.is_null());
/// // SAFETY: `block` is live and this heap's.
/// unsafe { HEAP.try_free(block) }.unwrap();
/// // SAFETY: a pointer that is not live is rejected, and nothing near it is trusted.
/// let misuse = unsafe { HEAP.try_free(block) }.unwrap_err();
/// assert_eq!(misuse.kind, MisuseKind::DoubleFree);
/// ```
///
/// All methods take `&self` and may be called from any thread. None aborts, except
/// [`free`](Self::free), [`realloc`](Self::realloc) and the global allocator's, as the
/// [policy](crate::policy) says.
///
/// `O` is where memory comes from, `P` looks into critical sections, `L` is the mutex: all three
/// have zero-cost defaults, and are there for tests to replace.
#[derive(Debug)]
pub struct ListHeap<O: Os = Mmap, P: Probe = NoProbe, L: RawLock = FutexLock> {
    lock: L,
    /// Misuses found late wait for a sweep. Relaxed: a hint; the lock orders what it is about.
    deferred: AtomicBool,
    ground: Ground<O, P>,
    state: Cell<State>,
}

// SAFETY: `state` is touched only between `lock` and `unlock` (`locked`), and is Send; `deferred`
// is atomic; the rest is shared as it is, which the bounds ask for.
unsafe impl<O: Os + Sync, P: Probe + Sync, L: RawLock + Sync> Sync for ListHeap<O, P, L> {}

impl ListHeap {
    const_unless_loom! {
        /// An empty heap. Maps nothing until the first allocation.
        pub fn new() -> ListHeap {
            ListHeap::with_parts(Mmap, NoProbe, FutexLock::new())
        }
    }
}

impl Default for ListHeap {
    fn default() -> Self {
        ListHeap::new()
    }
}

impl<O: Os, P: Probe, L: RawLock> ListHeap<O, P, L> {
    const_unless_loom! {
        /// An empty heap on these parts.
        pub fn with_parts(os: O, probe: P, lock: L) -> Self {
            ListHeap {
                lock,
                deferred: AtomicBool::new(false),
                ground: Ground { os, probe, limit: usize::MAX },
                state: Cell::new(State::new()),
            }
        }
    }

    /// The same heap, which takes at most `bytes` bytes from the OS for its blocks; its own tables
    /// (about 2 MiB of address space, of which only pages in use are resident) come on top.
    /// Requests beyond it fail as if the OS had no memory.
    #[must_use]
    pub const fn with_limit(mut self, bytes: usize) -> Self {
        self.ground.limit = bytes;
        self
    }

    /// Allocates a block of at least `size` bytes at a multiple of [`MIN_ALIGN`]. `size` 0 gives a
    /// pointer of its own too, that can be freed. Null when there is no memory; then nothing has
    /// changed, except that idle memory has gone back to the OS.
    pub fn malloc(&self, size: usize) -> *mut u8 {
        self.malloc_aligned(size, MIN_ALIGN)
    }

    /// As [`malloc`](Self::malloc), at a multiple of `align`, in bytes. Null as well when `align`
    /// is not a power of two.
    pub fn malloc_aligned(&self, size: usize, align: usize) -> *mut u8 {
        self.allocate(size, align).map_or(ptr::null_mut(), |block| block.payload)
    }

    /// Allocates a block of `count * size` bytes, all zero. Null when there is no memory or when
    /// the product overflows.
    pub fn calloc(&self, count: usize, size: usize) -> *mut u8 {
        count.checked_mul(size).map_or(ptr::null_mut(), |size| self.malloc_zeroed(size, MIN_ALIGN))
    }

    /// As [`malloc_aligned`](Self::malloc_aligned), all zero. Pages fresh from the OS are not
    /// written.
    pub fn malloc_zeroed(&self, size: usize, align: usize) -> *mut u8 {
        let Some(Allocation { payload, dirty }) = self.allocate(size, align) else {
            return ptr::null_mut();
        };
        // SAFETY: the block is ours alone until it is returned, and at least `size` bytes long.
        unsafe { ptr::write_bytes(payload, 0, size.min(dirty)) };
        payload
    }

    fn allocate(&self, size: usize, align: usize) -> Option<Allocation> {
        if !align.is_power_of_two() {
            return None;
        }
        self.locked(|state, ground| state.allocate(ground, size, align))
    }

    /// Frees the block at `payload`; null is fine. An error changes nothing.
    ///
    /// # Safety
    /// If `payload` is a live block of this heap, nothing uses it after this call. If it is
    /// anything else, no more is asked for: it is rejected.
    pub unsafe fn try_free(&self, payload: *mut u8) -> Result<(), Misuse> {
        if payload.is_null() {
            return Ok(());
        }
        self.locked(|state, ground| state.free(ground, payload))
    }

    /// Makes the block at `payload` one of at least `size` bytes, keeping its contents up to the
    /// smaller size, in place where it can. Null: as [`malloc`](Self::malloc). `size` 0: frees it,
    /// and the result is null. `Ok(null)` else: there is no memory, and the block is as it was. An
    /// error changes nothing.
    ///
    /// # Safety
    /// If `payload` is a live block of this heap, nothing uses it after this call, unless the call
    /// fails or is rejected; then as before.
    pub unsafe fn try_realloc(&self, payload: *mut u8, size: usize) -> Result<*mut u8, Misuse> {
        if size == 0 && !payload.is_null() {
            // SAFETY: the caller gives the block up, if it is this heap's.
            return unsafe { self.try_free(payload) }.map(|()| ptr::null_mut());
        }
        // SAFETY: the caller gives the block up, if it is this heap's, unless the call fails.
        unsafe { self.try_realloc_aligned(payload, size, MIN_ALIGN) }
    }

    /// As [`try_realloc`](Self::try_realloc), at a multiple of `align` should it have to move; and
    /// `size` 0 is a size like any other.
    ///
    /// # Safety
    /// As there.
    pub unsafe fn try_realloc_aligned(
        &self,
        payload: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<*mut u8, Misuse> {
        if payload.is_null() {
            return Ok(self.malloc_aligned(size, align));
        }
        if !align.is_power_of_two() {
            return Ok(ptr::null_mut());
        }
        let resized = self.locked(|state, ground| state.resize(ground, payload, size, align))?;
        Ok(resized.unwrap_or(ptr::null_mut()))
    }

    /// Bytes that the live block at `payload` can hold: at least what was asked for.
    pub fn usable_size(&self, payload: *mut u8) -> Result<usize, Misuse> {
        self.locked(|state, _| state.usable_size(payload))
    }

    /// The heap's figures. Takes the lock.
    pub fn stats(&self) -> Stats {
        self.locked(|state, _| {
            let largest = state.index.as_mut().and_then(|index| index.largest());
            let counts = state.counts;
            Stats {
                live_bytes: counts.live_bytes,
                live_blocks: counts.live_blocks,
                free_bytes: counts.free_bytes,
                free_blocks: counts.free_blocks,
                largest_free: largest.map_or(0, |size| size - HEADER),
                mapped_bytes: counts.block_mappings + state.table_bytes(),
                regions: counts.regions,
                huge_blocks: counts.huge_blocks,
                misuses_at_call: counts.misuses_at_call,
                misuses_late: counts.misuses_late,
            }
        })
    }

    /// Walks the heap, under the lock, and names the first invariant that does not hold.
    pub fn check(&self) -> Result<(), Broken> {
        self.locked(|state, _| state.check())
    }

    /// Hands the misuses that were found late, and not yet handed over, to
    /// `hook`; returns how many. At most 8 wait; [`Stats::misuses_late`] counts all. `hook` runs
    /// outside the lock and may use the heap.
    pub fn sweep(&self, mut hook: impl FnMut(&Misuse)) -> usize {
        let deferred = self.locked(|state, _| {
            self.deferred.store(false, Ordering::Relaxed);
            state.take_deferred()
        });
        let mut reported = 0;
        for misuse in deferred.iter().flatten() {
            hook(misuse);
            reported += 1;
        }
        reported
    }

    /// Gives idle memory back to the OS; returns the bytes that went.
    pub fn trim(&self) -> usize {
        self.locked(|state, ground| state.trim(ground))
    }

    /// Takes the lock for the time of a fork, so that the child's copy of the heap is whole: for
    /// `pthread_atfork`'s prepare handler. The forking thread may use the heap meanwhile.
    pub fn fork_prepare(&self) {
        self.lock.fork_prepare();
    }

    /// Releases it in the parent.
    ///
    /// # Safety
    /// The calling thread has come from [`fork_prepare`](Self::fork_prepare).
    pub unsafe fn fork_parent(&self) {
        // SAFETY: the calling thread has come from `fork_prepare`.
        unsafe { self.lock.fork_parent() }
    }

    /// Releases it in the child.
    ///
    /// # Safety
    /// The calling thread is the only one of a child forked after
    /// [`fork_prepare`](Self::fork_prepare).
    pub unsafe fn fork_child(&self) {
        // SAFETY: the only thread of a child forked after `fork_prepare`.
        unsafe { self.lock.fork_child() }
    }

    /// The critical section: the only place that takes the lock.
    fn locked<R>(&self, f: impl FnOnce(&mut State, &Ground<O, P>) -> R) -> R {
        let probe = &self.ground.probe;
        probe.pause();
        self.lock.lock();
        probe.enter();
        // SAFETY: the lock keeps every other caller out until `unlock`, and orders them.
        let result = unsafe {
            self.state.with(|state| {
                let result = f(state, &self.ground);
                if state.has_deferred() {
                    self.deferred.store(true, Ordering::Relaxed);
                }
                result
            })
        };
        probe.leave();
        // SAFETY: locked above, by this thread.
        unsafe { self.lock.unlock() };
        probe.pause();
        result
    }
}

impl<O: Os, P: Probe, L: RawLock> Drop for ListHeap<O, P, L> {
    fn drop(&mut self) {
        self.locked(|state, ground| state.release_all(&ground.os));
    }
}
