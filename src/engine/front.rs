//! The front: [`Drystone`], the process's one engine, and whose heap a call means.
//!
//! The fast path of malloc and of free stand here, each on its own; everything they can't do is in the
//! cold functions below them.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use super::account::Account;
use super::classes::{LARGEST, SMALL, class_of_large, class_of_small};
pub use super::heap::DIRECT;
use super::heap::Heap;
use super::quarantine::Quarantine;
use super::resize::{fits, gets_room};
use super::slab::{Freed, Slab};
use super::thread::{self, EMPTY, GONE};
use super::{Engine, MIN_ALIGN};
use crate::misuse::Misuse;
use crate::os::Mmap;
use crate::policy;
use crate::probe::NoProbe;
use crate::process::calls::{self, Function};
use crate::process::{environment, figures};
use crate::stats::{Broken, Stats};
use crate::sync::{AtomicBool, AtomicUsize, Cell, FutexLock, Ordering, RawLock};

/// The process's engine.
static ENGINE: Engine<Mmap, NoProbe, FutexLock> =
    Engine::with_parts(Mmap, NoProbe, FutexLock::new());

/// Freed blocks that wait, if `DRYSTONE_QUARANTINE` asks for it.
static QUARANTINE: Quarantine = Quarantine::new();

/// Every call goes the slow way. Relaxed: each thread acts on it when it next gets a heap; who needs
/// more sets it before there are other threads.
static DIVERTED: AtomicBool = AtomicBool::new(false);

/// The start of the process's part: see [`start`].
static START: Start = Start {
    lock: FutexLock::new(),
    state: Cell::new(Started { done: false, read: false, key: 0 }),
    under_way: AtomicUsize::new(0),
};

struct Start {
    lock: FutexLock,
    state: Cell<Started>,
    /// The thread that is at it, by `pthread_self`, or 0. Relaxed: it equals a thread's own name only if
    /// that thread wrote it.
    under_way: AtomicUsize,
}

struct Started {
    done: bool,
    /// The environment has been read.
    read: bool,
    key: libc::pthread_key_t,
}

// SAFETY: `state` is touched under `lock` only.
unsafe impl Sync for Start {}

/// What the fast path of free came to.
#[derive(Debug)]
pub enum Fast {
    /// The block is freed.
    Done,
    /// The block is freed, and the slab must move: [`Drystone::free_moves`].
    Moves,
    /// Nothing is done: [`Drystone::free_slow`].
    Slow,
}

/// The production allocator of this process: `#[global_allocator]`, or called by hand. All values of the
/// type are one and the same.
///
/// ```
/// use drystone::{Drystone, MisuseKind};
///
/// let block = Drystone.malloc(100);
/// assert!(!block.is_null());
/// // SAFETY: `block` is live.
/// unsafe { Drystone.try_free(block) }.unwrap();
/// // SAFETY: a pointer that is not live is refused.
/// let misuse = unsafe { Drystone.try_free(block) }.unwrap_err();
/// assert_eq!(misuse.kind, MisuseKind::DoubleFree);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Drystone;

impl Drystone {
    /// Issues a block of at least `size` bytes at a multiple of 16. `size` 0 gives a pointer of its own
    /// too, that can be freed. Null when refused.
    #[inline]
    pub fn malloc(&self, size: usize) -> *mut u8 {
        let fast = if size <= DIRECT { self.malloc_fast(size) } else { self.malloc_medium(size) };
        match fast {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow(size, MIN_ALIGN, false),
        }
    }

    /// The fast path of malloc: the next block at this thread's hand, for requests up to [`DIRECT`] bytes.
    #[inline(always)]
    pub fn malloc_fast(&self, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the heap is the calling thread's, or the empty one.
        unsafe { if size <= DIRECT { (*(*thread::fast()).current_for(size)).pop() } else { None } }
    }

    /// As [`malloc_fast`](Self::malloc_fast), for requests that it is not for: above [`DIRECT`] bytes.
    #[inline]
    pub fn malloc_medium(&self, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the heap is the calling thread's, or the empty one.
        unsafe {
            if size <= SMALL {
                (*(*thread::fast()).current(class_of_small(size))).pop()
            } else if size <= LARGEST {
                (*(*thread::fast()).current(class_of_large(size))).pop()
            } else {
                None
            }
        }
    }

    /// The fast path of free: of a live block of this thread's own.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[inline(always)]
    pub unsafe fn free_fast(&self, block: *mut u8) -> Fast {
        let address = block.expose_provenance();
        let slab = ENGINE.pages.slab_near(address);
        // SAFETY: headers live for ever. Whoever reads its own heap as the owner is the owner; and the
        // address lies in the slab, or many GiB away.
        unsafe {
            if !thread::is_fast((*slab).owner.load(Ordering::Relaxed)) {
                return Fast::Slow;
            }
            Self::free_in(slab, address)
        }
    }

    /// The free of the block at `address`, if one that is live starts there.
    ///
    /// # Safety
    /// The calling thread owns `slab`, and `address` lies there, or many GiB away.
    #[inline(always)]
    pub(super) unsafe fn free_in(slab: *const Slab, address: usize) -> Fast {
        // SAFETY: as the caller promises; the number is just so.
        unsafe {
            let Some(number) = (*slab).number_as_owner(address) else { return Fast::Slow };
            match (*slab).free(number, address, &NoProbe) {
                Ok(Freed::Fine) => Fast::Done,
                Ok(Freed::Move) => Fast::Moves,
                Err(_) => Fast::Slow,
            }
        }
    }

    /// What is left to do after a free by the fast path that said [`Fast::Moves`].
    ///
    /// # Safety
    /// `block` is what that call was about, the last of this thread.
    #[cold]
    pub unsafe fn free_moves(&self, block: *mut u8) {
        // The exact map: in the table that the fast path looked into, another slab may stand by now.
        // SAFETY: the fast word is the owner of the block's slab: the calling thread's.
        unsafe {
            ENGINE.freed_last_or_first(&*thread::fast(), ENGINE.pages.slab_at(block.addr()));
        }
    }

    /// As [`free_moves`](Self::free_moves), for a front with a [policy].
    #[cold]
    #[inline(never)]
    unsafe fn free_moves_and_reports(&self, block: *mut u8) {
        // SAFETY: as the caller promises.
        unsafe { self.free_moves(block) };
        self.report_late();
    }

    /// What malloc does when the fast path has no block: all of it.
    #[cold]
    #[inline(never)]
    pub fn malloc_slow(&self, size: usize, align: usize, zero: bool) -> *mut u8 {
        if !align.is_power_of_two() {
            return ptr::null_mut();
        }
        let align = align.max(MIN_ALIGN);
        // SAFETY: the heap is the calling thread's for the time of the call.
        let block = self.with_heap(|heap| unsafe {
            match zero {
                true => ENGINE.malloc_zeroed(heap, size, align),
                false => ENGINE.malloc(heap, size, align),
            }
        });
        block.unwrap_or(ptr::null_mut())
    }

    /// As [`malloc`](Self::malloc), at a multiple of `align`, in bytes. Null as well when `align` is not a power of two.
    #[inline]
    pub fn malloc_aligned(&self, size: usize, align: usize) -> *mut u8 {
        match self.aligned_fast(size, align) {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow(size, align, false),
        }
    }

    /// A block at this thread's hand of at least `size` bytes at a multiple of `align`, if there is one.
    #[inline]
    fn aligned_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        if align <= MIN_ALIGN && align.is_power_of_two() {
            return if size <= DIRECT { self.malloc_fast(size) } else { self.malloc_medium(size) };
        }
        if align.is_power_of_two() && align <= 4096 && size <= SMALL - align {
            // The multiple that holds the size: its class may have a block at hand that is aligned.
            let class = class_of_small((size.max(1) + align - 1) & !(align - 1));
            if super::classes::size_of(class).is_multiple_of(align) {
                // SAFETY: the heap is the calling thread's, or the empty one.
                return unsafe { (*(*thread::fast()).current(class)).pop() };
            }
        }
        None
    }

    /// As [`malloc_slow`](Self::malloc_slow), for a front with a [policy]: misuses found late are told.
    #[cold]
    #[inline(never)]
    fn malloc_slow_and_reports(&self, size: usize, align: usize, zero: bool) -> *mut u8 {
        calls::pass(if zero { Function::AllocZeroed } else { Function::Alloc });
        let block = self.malloc_slow(size, align, zero);
        self.report_late();
        block
    }

    /// Issues a block of `count * size` bytes, all zero. Null when refused or when the product overflows.
    #[inline]
    pub fn calloc(&self, count: usize, size: usize) -> *mut u8 {
        count.checked_mul(size).map_or(ptr::null_mut(), |size| self.malloc_zeroed(size, MIN_ALIGN))
    }

    /// As [`malloc_fast`](Self::malloc_fast), all zero.
    #[inline(always)]
    pub fn zeroed_direct(&self, size: usize) -> Option<NonNull<u8>> {
        let block = self.malloc_fast(size)?;
        // SAFETY: the block is ours alone until it is returned, and at least `size` bytes long.
        unsafe { clear(block.as_ptr(), size) };
        Some(block)
    }

    /// As [`malloc_aligned`](Self::malloc_aligned), all zero. Pages fresh from the OS are not written.
    #[inline]
    pub fn malloc_zeroed(&self, size: usize, align: usize) -> *mut u8 {
        match self.zeroed_fast(size, align) {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow(size, align, true),
        }
    }

    /// As [`aligned_fast`](Self::aligned_fast), all zero.
    #[inline]
    fn zeroed_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        // Above this, the memory may be fresh, which the slow way knows, and need not be written to.
        if size > SMALL {
            return None;
        }
        if size <= DIRECT && align <= MIN_ALIGN && align.is_power_of_two() {
            return self.zeroed_direct(size);
        }
        let block = self.aligned_fast(size, align)?;
        // SAFETY: as there.
        unsafe { ptr::write_bytes(block.as_ptr(), 0, size) };
        Some(block)
    }

    /// Frees the block; null is fine. An error changes nothing.
    ///
    /// # Safety
    /// If `block` is live, nothing uses it after this call. If it is anything else, no more is asked
    /// for: it is refused.
    #[inline]
    pub unsafe fn try_free(&self, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: as the caller promises.
        match unsafe { self.free_fast(block) } {
            Fast::Done => {}
            // SAFETY: just so.
            Fast::Moves => unsafe { self.free_moves(block) },
            // SAFETY: as the caller promises.
            Fast::Slow => return unsafe { self.free_slow(block) },
        }
        Ok(())
    }

    /// What free does when the fast path can't: all of it.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[cold]
    #[inline(never)]
    pub unsafe fn free_slow(&self, block: *mut u8) -> Result<(), Misuse> {
        if block.is_null() {
            return Ok(());
        }
        let own = thread::own();
        // SAFETY: as the caller promises; what is neither 0 nor GONE is the address of this thread's heap.
        unsafe {
            if own > GONE
                && !QUARANTINE.is_on()
                && ENGINE.free_as_other(&*ptr::with_exposed_provenance(own), block)
            {
                return Ok(());
            }
            self.free_slowest(block)
        }
    }

    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[cold]
    #[inline(never)]
    unsafe fn free_slowest(&self, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: as the caller promises; the heap is the calling thread's for the time of the call.
        self.with_heap(|heap| unsafe {
            if QUARANTINE.is_on() {
                return QUARANTINE.free(&ENGINE, heap, block);
            }
            ENGINE.try_free(heap, block)
        })
        // No memory for a heap: such a thread can still mark.
        .unwrap_or_else(|| unsafe { ENGINE.free_without_heap(block) })
    }

    /// Makes the block one of at least `size` bytes, keeping its contents up to the smaller size, in place where it
    /// can. Null: as [`malloc`](Self::malloc). `size` 0: frees it, and the result is null. `Ok(null)` else:
    /// refused, and the block is as it was. An error changes nothing.
    ///
    /// # Safety
    /// If `block` is live, nothing uses it after this call, unless the call fails or is refused; then
    /// as before.
    pub unsafe fn try_realloc(&self, block: *mut u8, size: usize) -> Result<*mut u8, Misuse> {
        if size == 0 && !block.is_null() {
            // SAFETY: as the caller promises.
            return unsafe { self.try_free(block) }.map(|()| ptr::null_mut());
        }
        // SAFETY: as the caller promises.
        unsafe { self.try_realloc_aligned(block, size, MIN_ALIGN) }
    }

    /// The fast path of realloc: a live block of this thread's own, that need not move, or can move to a block
    /// at hand.
    ///
    /// # Safety
    /// As [`try_realloc`](Self::try_realloc).
    #[inline]
    unsafe fn realloc_fast(&self, block: *mut u8, size: usize) -> Option<NonNull<u8>> {
        let address = block.expose_provenance();
        let slab = ENGINE.pages.slab_near(address);
        // SAFETY: as in `free_fast`; the new block is this call's alone, and both hold what is copied.
        unsafe {
            if !thread::is_fast((*slab).owner.load(Ordering::Relaxed)) {
                return None;
            }
            let number = (*slab).number_as_owner(address)?;
            if !(*slab).is_live(number) {
                return None;
            }
            let usable = (*slab).size_as_owner();
            if fits(size, usable) {
                return NonNull::new(block);
            }
            if gets_room(size, usable) {
                return None;
            }
            let new = match size <= DIRECT {
                true => self.malloc_fast(size)?,
                false => self.malloc_medium(size)?,
            };
            ptr::copy_nonoverlapping(block, new.as_ptr(), usable.min(size));
            match (*slab).free(number, address, &NoProbe) {
                Ok(Freed::Fine) => {}
                Ok(Freed::Move) => self.free_moves(block),
                Err(_) => {
                    // Another thread has freed the block meanwhile: a misuse, which the slow way tells.
                    self.free(new.as_ptr());
                    return None;
                }
            }
            Some(new)
        }
    }

    /// As [`try_realloc`](Self::try_realloc), at a multiple of `align` should it have to move; and `size` 0
    /// is a size like any other.
    ///
    /// # Safety
    /// As there.
    pub unsafe fn try_realloc_aligned(
        &self,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<*mut u8, Misuse> {
        let align = align.max(MIN_ALIGN);
        if align == MIN_ALIGN {
            // SAFETY: as the caller promises.
            if let Some(resized) = unsafe { self.realloc_fast(block, size) } {
                return Ok(resized.as_ptr());
            }
        }
        // SAFETY: as the caller promises.
        unsafe { self.realloc_slow(block, size, align) }
    }

    /// What realloc does when the fast path can't: all of it.
    ///
    /// # Safety
    /// As [`try_realloc`](Self::try_realloc).
    unsafe fn realloc_slow(
        &self,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<*mut u8, Misuse> {
        // SAFETY: as the caller promises; the heap is the calling thread's for the time of the call.
        self.with_heap(|heap| unsafe {
            if QUARANTINE.is_on() {
                return QUARANTINE.realloc(&ENGINE, heap, block, size, align);
            }
            ENGINE.try_realloc(heap, block, size, align)
        })
        .unwrap_or(Ok(ptr::null_mut()))
    }

    /// Bytes that the live block can hold: at least what was asked for.
    pub fn usable_size(&self, block: *mut u8) -> Result<usize, Misuse> {
        ENGINE.usable_size(block)
    }

    /// The process's figures: exact while no other thread allocates or frees.
    pub fn stats(&self) -> Stats {
        ENGINE.stats()
    }

    /// The engine, for what only some programs ask: its parts' figures.
    pub fn engine(&self) -> &'static Engine {
        &ENGINE
    }

    /// Walks what all threads share, and the calling thread's heap, and names the first invariant that
    /// does not hold.
    pub fn check(&self) -> Result<(), Broken> {
        // SAFETY: the heap is the calling thread's for the time of the call.
        self.with_heap(|heap| unsafe { ENGINE.check(heap) }).unwrap_or(Ok(()))
    }

    /// The figures, as texts for people and tools.
    #[doc(hidden)]
    pub fn account(&self) -> Account {
        Account { stats: self.stats(), layers: ENGINE.layer_stats(), sound: self.check() }
    }

    /// Looks for misuses that no call has found: in the calling thread's heap and in what exited threads
    /// left; with `DRYSTONE_QUARANTINE`, in the blocks that wait too. Hands them, and those found late and
    /// not yet told, to `hook`; returns how many.
    pub fn sweep(&self, mut hook: impl FnMut(&Misuse)) -> usize {
        // SAFETY: the heap is the calling thread's for the time of the call.
        self.with_heap(|heap| unsafe { ENGINE.sweep_all(heap, &mut hook) }).unwrap_or(0)
    }

    /// What is done at exit: looks for misuses that no call has found, as [`sweep`](Self::sweep) does, and
    /// hands them to the [policy]. For a front that prints figures at exit, which may come before.
    pub fn judge(&self) {
        // A program that never allocated is left without a heap.
        if ENGINE.has_heaps() {
            QUARANTINE.verify(&ENGINE);
            self.sweep(policy::misuse);
        }
    }

    /// Gives idle memory back to the OS: the calling thread's, what exited threads left, and what all
    /// share; returns the bytes that went. Other threads' empty slabs wait for their owners.
    pub fn trim(&self) -> usize {
        // SAFETY: the heap is the calling thread's for the time of the call.
        self.with_heap(|heap| unsafe { ENGINE.trim(heap) }).unwrap_or(0)
    }

    /// Registers the handlers for fork and exit that the first allocation would else register. For a
    /// library's start-up: handlers that the program registers before it allocates must come after these, for
    /// fork's first handlers are called last, and the engine's locks must be taken last.
    pub fn prepare(&self) {
        crate::errno::kept(start);
        // A program that allocated before the environment could be read has a thread that does not know of the
        // quarantine, or that its calls are counted, yet.
        if goes_slowly() && thread::own() > GONE {
            thread::set(ptr::from_ref(&EMPTY.0).expose_provenance(), thread::own());
        }
    }

    /// Frees the block; a misuse goes to the [policy].
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[inline]
    pub unsafe fn free(&self, block: *mut u8) {
        // SAFETY: as the caller promises.
        match unsafe { self.free_fast(block) } {
            Fast::Done => {}
            // SAFETY: just so.
            Fast::Moves => unsafe { self.free_moves_and_reports(block) },
            // SAFETY: as the caller promises.
            Fast::Slow => unsafe { self.free_or_report(block) },
        }
    }

    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[cold]
    #[inline(never)]
    unsafe fn free_or_report(&self, block: *mut u8) {
        // SAFETY: as the caller promises.
        if let Err(misuse) = unsafe { self.free_slow(block) } {
            policy::misuse(&misuse);
        }
        self.report_late();
    }

    /// Hands misuses found late to the [policy]. Slow paths of fronts call it.
    #[inline]
    pub fn report_late(&self) {
        if ENGINE.has_late() {
            ENGINE.tell_late(policy::misuse);
        }
    }

    /// Runs `f` with the calling thread's heap: its own, or, while the thread is torn down, one for this call.
    /// `None` when there is no memory for one.
    fn with_heap<R>(&self, f: impl FnOnce(&Heap) -> R) -> Option<R> {
        match thread::own() {
            0 => Some(f(begin_thread()?)),
            GONE => {
                let heap = ENGINE.claim()?;
                let result = f(heap);
                // SAFETY: claimed above, and not used after this.
                unsafe { ENGINE.release(heap) };
                Some(result)
            }
            // SAFETY: what is neither is the address of the heap that this thread claimed.
            own => Some(f(unsafe { &*ptr::with_exposed_provenance(own) })),
        }
    }
}

/// The calling thread's first call: claims a heap, and arranges for the thread's end.
#[cold]
fn begin_thread() -> Option<&'static Heap> {
    let heap = ENGINE.claim()?;
    let own = ptr::from_ref(heap).expose_provenance();
    // From here on the thread can allocate: what is called below may do so.
    thread::set(own, own);
    let key = crate::errno::kept(start);
    if goes_slowly() {
        thread::set(ptr::from_ref(&EMPTY.0).expose_provenance(), own);
    }
    if let Some(key) = key {
        // SAFETY: the key exists; its value is not null. If there is no memory for it, the heap is
        // never released: the process goes on, and keeps it.
        crate::errno::kept(|| unsafe {
            libc::pthread_setspecific(key, ptr::from_ref(heap).cast())
        });
    }
    Some(heap)
}

/// Whether every call goes the slow way: blocks wait, or calls are counted.
fn goes_slowly() -> bool {
    QUARANTINE.is_on() || DIVERTED.load(Ordering::Relaxed)
}

/// Leaves the thread's heap to the next: the C library calls it when a thread ends. Each call that the thread
/// makes after that claims a heap for itself.
extern "C" fn end_thread(heap: *mut libc::c_void) {
    thread::set(ptr::from_ref(&EMPTY.0).expose_provenance(), GONE);
    // SAFETY: the value of the key is the heap that this thread claimed.
    unsafe { ENGINE.release(&*heap.cast::<Heap>()) };
    Drystone.report_late();
}

/// What the process needs once: a key whose destructor ends a thread, handlers for fork, one for exit. Returns the key,
/// or `None` when the C library has none left, or while this very call is under way in this thread.
fn start() -> Option<libc::pthread_key_t> {
    // SAFETY: pthread_self takes nothing and cannot fail.
    let me = unsafe { libc::pthread_self() } as usize;
    // What is called below may allocate, and come here again.
    if START.under_way.load(Ordering::Relaxed) == me {
        return None;
    }
    START.lock.lock();
    START.under_way.store(me, Ordering::Relaxed);
    // SAFETY: the lock is held, and this thread does not come here again meanwhile.
    let key = unsafe {
        START.state.with(|state| {
            if !state.done {
                state.done = true;
                let mut key = 0;
                state.key = match libc::pthread_key_create(&mut key, Some(end_thread)) {
                    0 => key,
                    _ => libc::pthread_key_t::MAX,
                };
                // No memory for a handler: a fork under load, or a late misuse at exit, goes unserved.
                libc::pthread_atfork(Some(fork_prepare), Some(fork_parent), Some(fork_child));
                libc::atexit(at_exit);
            }
            if !state.read && environment::is_known() {
                state.read = true;
                // For the first time: `read` has said so.
                read_environment();
            }
            state.key
        })
    };
    START.under_way.store(0, Ordering::Relaxed);
    // SAFETY: locked above.
    unsafe { START.lock.unlock() };
    (key != libc::pthread_key_t::MAX).then_some(key)
}

/// Reads the variables. Once in a process, before there are threads.
///
/// # Safety
/// Called once, in `start`.
unsafe fn read_environment() {
    environment::check();
    policy::get();
    QUARANTINE.read_environment();
    // SAFETY: this is called once.
    if unsafe { figures::read() } {
        calls::count();
        DIVERTED.store(true, Ordering::Relaxed);
        ENGINE.time_lock();
    }
}

/// Judges what the exiting thread and the exited ones leave, and gives the figures that are asked for. A process
/// that ends otherwise than by `exit(3)` or the return of `main` does not come here.
extern "C" fn at_exit() {
    Drystone.judge();
    if let Some(sink) = figures::sink() {
        Drystone.account().give(&ENGINE, sink);
    }
}

// The locks, in the order in which they may be held together: each may be taken while those before it
// are held.

extern "C" fn fork_prepare() {
    START.lock.fork_prepare();
    QUARANTINE.lock().fork_prepare();
    ENGINE.fork_prepare();
}

extern "C" fn fork_parent() {
    // SAFETY: the C library calls it in the thread that came from `fork_prepare`, once.
    unsafe {
        ENGINE.fork_parent();
        QUARANTINE.lock().fork_parent();
        START.lock.fork_parent();
    }
}

extern "C" fn fork_child() {
    let own = thread::own();
    // SAFETY: the C library calls it in the child's only thread, the copy of the one that came from
    // `fork_prepare`; which is not in the middle of a call, and so has no other heap than its own.
    unsafe {
        ENGINE.fork_child(|heap| heap.addr() == own);
        QUARANTINE.lock().fork_child();
        START.lock.fork_child();
    }
    calls::reset();
}

// SAFETY: blocks are exclusive, of the layout's size and alignment, until freed or resized; no method
// unwinds; realloc keeps contents and, when refused, the block.
unsafe impl GlobalAlloc for Drystone {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.aligned_fast(layout.size(), layout.align()) {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow_and_reports(layout.size(), layout.align(), false),
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match self.zeroed_fast(layout.size(), layout.align()) {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow_and_reports(layout.size(), layout.align(), true),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller gives up a block of this allocator.
        match unsafe { self.free_fast(block) } {
            Fast::Done => {}
            // SAFETY: just so.
            Fast::Moves => unsafe { self.free_moves_and_reports(block) },
            // SAFETY: as above.
            Fast::Slow => unsafe { self.dealloc_slow(block) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= MIN_ALIGN {
            // SAFETY: the caller gives up a block of this allocator, unless the result is null.
            if let Some(resized) = unsafe { self.realloc_fast(block, size) } {
                return resized.as_ptr();
            }
        }
        // SAFETY: as above.
        unsafe { self.realloc_or_report(block, size, layout.align().max(MIN_ALIGN)) }
    }
}

impl Drystone {
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[cold]
    #[inline(never)]
    unsafe fn dealloc_slow(&self, block: *mut u8) {
        calls::pass(Function::Dealloc);
        // SAFETY: as the caller promises.
        unsafe { self.free_or_report(block) }
    }

    /// # Safety
    /// As [`try_realloc`](Self::try_realloc).
    #[cold]
    #[inline(never)]
    unsafe fn realloc_or_report(&self, block: *mut u8, size: usize, align: usize) -> *mut u8 {
        calls::pass(Function::Realloc);
        // SAFETY: as the caller promises.
        let resized = unsafe { self.realloc_slow(block, size, align) };
        let resized = resized.unwrap_or_else(|misuse| {
            policy::misuse(&misuse);
            ptr::null_mut()
        });
        self.report_late();
        resized
    }
}

/// Fills the first `size` bytes of a block with zeroes, and maybe some more: those of its last 16. Small ones
/// without a call of the C library's `memset`, which takes as long as all the rest of `calloc`.
///
/// # Safety
/// A block of at least `size` bytes starts at `block`, and nobody else uses it.
#[inline(always)]
unsafe fn clear(block: *mut u8, size: usize) {
    const STEP: usize = 16;
    // A block is at least one step, and a whole number of them.
    let end = (size.max(1) + STEP - 1) & !(STEP - 1);
    // SAFETY: every store lies in the block, as the branch above it says.
    unsafe {
        let store = |at: usize| ptr::write_bytes(block.add(at), 0, STEP);
        if end > 8 * STEP {
            return ptr::write_bytes(block, 0, size);
        }
        store(0);
        store(end - STEP);
        if end > 2 * STEP {
            store(STEP);
            store(end - 2 * STEP);
        }
        if end > 4 * STEP {
            store(2 * STEP);
            store(3 * STEP);
            store(end - 3 * STEP);
            store(end - 4 * STEP);
        }
    }
}

#[cfg(test)]
mod tests;
