//! The process's start, fork and exit, and a thread's first call and its last: whose heap a call
//! means.

use core::ptr;

use crate::engine::engine::Engine;
use crate::engine::global::fast::{DIVERTED, Drystone, ENGINE};
use crate::engine::global::tls::{self, EMPTY, GONE};
use crate::engine::heap::Heap;
use crate::engine::quarantine::QUARANTINE;
use crate::engine::slab::COUNTED;
use crate::guard::GUARD;
use crate::misuse::Misuse;
use crate::policy;
use crate::process::{calls, environment, figures, stderr};
use crate::sync::{
    AtomicBool, AtomicU32, AtomicUsize, Cell, FutexLock, Holder, Ordering, RawLock, this_thread,
};

/// The start of the process's part: see [`start`].
static START: Start = Start {
    lock: FutexLock::new(),
    state: Cell::new(Started { done: false, read: false, key: NO_KEY }),
    under_way: AtomicUsize::new(0),
    key: AtomicU32::new(NO_KEY),
    process: AtomicUsize::new(0),
    over: AtomicBool::new(false),
};

struct Start {
    lock: FutexLock,
    state: Cell<Started>,
    /// The thread that is at it, by [`this_thread`], or 0. Relaxed: it equals a thread's own name
    /// only if that thread wrote it.
    under_way: AtomicUsize,
    /// The state's, for those who come when all is done.
    key: AtomicU32,
    /// The process, by its number. Relaxed: set while there is one thread, mostly, and to the same.
    process: AtomicUsize,
    /// All is done. Its release after `key` pairs with the acquire in [`start`].
    over: AtomicBool,
}

struct Started {
    done: bool,
    /// The environment has been read.
    read: bool,
    key: libc::pthread_key_t,
}

/// The C library has no key left, or was not asked yet.
const NO_KEY: libc::pthread_key_t = libc::pthread_key_t::MAX;

/// In which of the C library's rounds over the keys a thread's heap is left, of those in which it
/// is there. There are 4 rounds (glibc's `PTHREAD_DESTRUCTOR_ITERATIONS`, and POSIX's least): so
/// other keys' first destructors find it, and it is left also if the thread claimed it in one of
/// the first two. What a thread claims in the last two, that never called before, stays claimed.
const ROUNDS: u8 = 2;

/// Keys below this have room for their values in each thread: glibc allocates none.
const WITH_ROOM: libc::pthread_key_t = 32;

// SAFETY: `state` is touched under `lock` only.
unsafe impl Sync for Start {}

impl Drystone {
    /// The engine, for what only some programs ask: its parts' figures.
    #[doc(hidden)]
    pub fn engine(&self) -> &'static Engine {
        &ENGINE
    }

    /// Looks for misuses that no call has found: in the calling thread's heap and in what exited
    /// threads left; with `DRYSTONE_QUARANTINE`, in the blocks that wait too. Hands them, and those
    /// found late and not yet told, to `hook`; returns how many.
    pub fn sweep(&self, mut hook: impl FnMut(&Misuse)) -> usize {
        // SAFETY: the heap is the calling thread's for the time of the call.
        self.with_heap(|heap| unsafe { ENGINE.sweep_all(heap, &mut hook) }).unwrap_or(0)
    }

    /// What is done at exit: looks for misuses that no call has found, as [`sweep`](Self::sweep)
    /// does, and hands them to the [policy]. For a library that prints figures at exit, which may
    /// come before.
    ///
    /// Nothing is looked at where `exit` was called in a signal handler that has interrupted a call
    /// of this allocator: what that call has in its hands looks like a misuse, and it may have the
    /// lock.
    #[doc(hidden)]
    pub fn judge(&self) {
        // A program that never allocated is left without a heap.
        if ENGINE.has_heaps() && !self.is_interrupted() {
            QUARANTINE.verify(&ENGINE);
            ENGINE.judge_guarded();
            self.sweep(policy::misuse);
        }
    }

    /// As [`judge`](Self::judge), for a call that ends the process at once (`_exit`): only where
    /// something seems to wait, and not in a process that is another's copy without our knowing
    /// (`vfork`), which shares its parent's memory.
    #[doc(hidden)]
    pub fn judge_before_leaving(&self) {
        let waits =
            ENGINE.wants_scan() || ENGINE.has_deferred() || QUARANTINE.is_on() || GUARD.is_on();
        // Asked last: where nothing waits, the C library need not be there yet.
        // SAFETY: getpid takes nothing and cannot fail.
        let ours = || START.process.load(Ordering::Relaxed) == unsafe { libc::getpid() } as usize;
        if waits && ours() && Self::locks_are_free() {
            self.judge();
        }
    }

    /// Whether nobody has one of the locks, or leaves it in time: a thread that was stopped while
    /// it has one, as by a handler that ends the process, must not keep it from ending.
    fn locks_are_free() -> bool {
        const LOOKS: usize = 1000;
        (0..LOOKS).any(|_| {
            let free = |holder| holder == Holder::Nobody;
            let locks = [ENGINE.holder(), QUARANTINE.lock().holder(), GUARD.lock().holder()];
            if locks.into_iter().all(free) {
                return true;
            }
            // SAFETY: takes nothing.
            unsafe { libc::sched_yield() };
            false
        })
    }

    /// Whether the calling function has interrupted a call of this allocator, in a signal handler,
    /// that may have left lists and ledgers between two states, or has a lock.
    fn is_interrupted(&self) -> bool {
        let own = tls::own();
        ENGINE.holder() == Holder::Here
            || QUARANTINE.lock().holder() == Holder::Here
            || GUARD.is_interrupted()
            || START.under_way.load(Ordering::Relaxed) == this_thread()
            // SAFETY: above GONE it is the address of this thread's heap.
            || own > GONE && unsafe { (*ptr::with_exposed_provenance::<Heap>(own)).is_busy() }
    }

    /// Registers the handlers for fork and exit that the first allocation would else register. For
    /// a library's start-up: handlers that the program registers before it allocates must come
    /// after these, for fork's first child handler is called first, and makes the engine whole.
    #[doc(hidden)]
    pub fn prepare(&self) {
        crate::errno::kept(start);
        // A program that allocated before the environment could be read has a thread that does not
        // know of the quarantine, or that its calls are counted, yet.
        if goes_slowly() && tls::own() > GONE {
            tls::set(ptr::from_ref(&EMPTY.0).expose_provenance(), tls::own());
        }
    }

    /// Hands deferred misuses to the [policy]. Slow paths call it whose callers leave misuses to
    /// that.
    #[inline]
    pub fn report_late(&self) {
        if ENGINE.has_deferred() {
            ENGINE.tell_deferred(policy::misuse);
        }
    }

    /// Whether the calling thread frees without a heap, once more: it has none, and has freed
    /// little.
    pub(super) fn frees_without_heap(&self) -> bool {
        // In a forked child only a thread with a heap reclaims what vanished threads left.
        if tls::own() >= GONE - 1 || ENGINE.forked.load(Ordering::Relaxed) {
            return false;
        }
        // It may allocate, and the thread have a heap after it.
        let key = crate::errno::kept(start);
        let own = tls::own();
        if own >= GONE - 1 {
            return false;
        }
        let none = ptr::from_ref(&EMPTY.0);
        tls::set(none.expose_provenance(), own + 1);
        if own == 0
            && let Some(key) = key.filter(|&key| key < WITH_ROOM)
        {
            // The thread's end is told, though it has no heap: it may claim one that late.
            // SAFETY: the key exists; its value is not null.
            crate::errno::kept(|| unsafe { libc::pthread_setspecific(key, none.cast()) });
        }
        true
    }

    /// Says anew by which way the calling thread's next call goes, after one that did not need its
    /// heap.
    pub(super) fn choose_way_again(&self) {
        let own = tls::own();
        if own > GONE {
            // SAFETY: above GONE it is the address of this thread's heap.
            choose_way(unsafe { &*ptr::with_exposed_provenance(own) }, own);
        }
    }

    /// Runs `f` with the calling thread's heap: its own, or, while the thread is torn down, one for
    /// this call. `None` when there is no memory for one.
    pub(super) fn with_heap<R>(&self, f: impl FnOnce(&Heap) -> R) -> Option<R> {
        match tls::own() {
            own if own < GONE => {
                let heap = begin_thread()?;
                Some(heap.busily(|| f(heap)))
            }
            GONE => {
                let heap = ENGINE.claim()?;
                let result = f(heap);
                // SAFETY: claimed above, and not used after this.
                unsafe { ENGINE.release(heap) };
                Some(result)
            }
            own => {
                // SAFETY: what is neither is the address of the heap that this thread claimed.
                let heap: &Heap = unsafe { &*ptr::with_exposed_provenance(own) };
                let result = heap.busily(|| f(heap));
                choose_way(heap, own);
                Some(result)
            }
        }
    }
}

/// The calling thread's first call: claims a heap, and arranges for the thread's end.
#[cold]
fn begin_thread() -> Option<&'static Heap> {
    let heap = ENGINE.claim()?;
    let own = ptr::from_ref(heap).expose_provenance();
    // From here on the thread can allocate: what is called below may do so.
    tls::set(own, own);
    let key = crate::errno::kept(start);
    if goes_slowly() {
        tls::set(ptr::from_ref(&EMPTY.0).expose_provenance(), own);
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

/// Leaves the thread's heap to the next: the C library calls it when a thread ends, in each of its
/// rounds over the keys. The heap is left late, or other keys' destructors, which free what
/// the thread had, would find it gone. Each call that the thread makes after that claims a heap for
/// itself.
extern "C" fn end_thread(heap: *mut libc::c_void) {
    let none = ptr::from_ref(&EMPTY.0);
    if ptr::eq(heap.cast(), none) {
        // It has none, and only frees so far. What it still does needs one for each call.
        return tls::set(none.expose_provenance(), GONE);
    }
    // SAFETY: the value of the key is the heap that this thread claimed.
    let heap = unsafe { &*heap.cast::<Heap>() };
    if heap.ends_again(ROUNDS)
        && let Some(key) = start()
        // SAFETY: the key exists; its value is not null.
        && unsafe { libc::pthread_setspecific(key, ptr::from_ref(heap).cast()) } == 0
    {
        return;
    }
    tls::set(ptr::from_ref(&EMPTY.0).expose_provenance(), GONE);
    // SAFETY: the heap is this thread's, which has just forgotten it.
    unsafe { ENGINE.release(heap) };
    Drystone.report_late();
}

/// What the process needs once: a key whose destructor ends a thread, handlers for fork, one for
/// exit. Returns the key, or `None` when the C library has none left, or while this very call is
/// under way in this thread.
fn start() -> Option<libc::pthread_key_t> {
    let made = |key| (key != NO_KEY).then_some(key);
    // Acquire: pairs with the release below.
    if START.over.load(Ordering::Acquire) {
        return made(START.key.load(Ordering::Relaxed));
    }
    let me = this_thread();
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
                    _ => NO_KEY,
                };
                // No memory for a handler: a fork under load, or a deferred misuse at exit, goes
                // unserved.
                libc::pthread_atfork(None, None, Some(fork_child));
                libc::atexit(at_exit);
                at_quick_exit(at_quick);
                note_process();
            }
            if !state.read && environment::is_known() {
                state.read = true;
                // For the first time: `read` has said so.
                read_environment();
            }
            if state.read {
                START.key.store(state.key, Ordering::Relaxed);
                START.over.store(true, Ordering::Release);
            }
            state.key
        })
    };
    START.under_way.store(0, Ordering::Relaxed);
    // SAFETY: locked above.
    unsafe { START.lock.unlock() };
    made(key)
}

/// Whether every call goes the slow way: blocks wait, or calls are counted.
fn goes_slowly() -> bool {
    // Relaxed: as at `DIVERTED`.
    QUARANTINE.is_on() || DIVERTED.load(Ordering::Relaxed)
}

/// Says by which way the calling thread's next call goes, whose heap it is: by the slow one while
/// there is something to do that would otherwise wait for a call that comes there by itself.
fn choose_way(heap: &Heap, own: usize) {
    let slow = goes_slowly() || heap.looks_around() || GUARD.is_due();
    let fast = if slow { ptr::from_ref(&EMPTY.0).expose_provenance() } else { own };
    if tls::fast().addr() != fast {
        tls::set(fast, own);
    }
}

/// Reads the variables. Once in a process, before there are threads.
///
/// # Safety
/// Called once, in `start`.
unsafe fn read_environment() {
    environment::check();
    policy::get();
    QUARANTINE.read_environment();
    GUARD.read_environment();
    COUNTED.put(GUARD.stride());
    // SAFETY: this is called once.
    if unsafe { figures::read() } {
        calls::count();
        // Relaxed: as at `DIVERTED`.
        DIVERTED.store(true, Ordering::Relaxed);
        ENGINE.time_lock();
    }
}

/// Judges what the exiting thread and the exited ones leave, and gives the figures that are asked
/// for. A process that ends otherwise than by `exit(3)` or the return of `main` does not come here;
/// at `quick_exit`, and at `_exit` with the C interface's, it is judged, and gives no figures.
extern "C" fn at_exit() {
    Drystone.judge();
    let Some(sink) = figures::sink() else { return };
    if Drystone.is_interrupted() {
        return stderr::say(format_args!(
            "no figures: exit was called in a signal handler that had interrupted the allocator"
        ));
    }
    Drystone.account().give(&ENGINE, sink);
}

unsafe extern "C" {
    /// C11, 7.22.4.3
    fn at_quick_exit(handler: extern "C" fn()) -> libc::c_int;
}

/// As [`at_exit`], at `quick_exit`, which gives no figures.
extern "C" fn at_quick() {
    Drystone.judge();
}

/// Notes which process this is.
fn note_process() {
    // SAFETY: getpid takes nothing and cannot fail.
    START.process.store(unsafe { libc::getpid() } as usize, Ordering::Relaxed);
}

/// Makes the process's part whole in a forked child: see [`fork`](crate::engine::fork). Nothing is
/// locked before the fork, so there is nothing to do in the parent.
extern "C" fn fork_child() {
    note_process();
    // SAFETY: the C library calls it in the child's only thread, before the child allocates.
    unsafe {
        if START.lock.holder() == Holder::Other {
            START.lock.fork_child();
            START.under_way.store(0, Ordering::Relaxed);
        }
        QUARANTINE.begin_child();
        GUARD.begin_child();
        ENGINE.begin_child();
    }
    calls::reset();
    crate::errno::kept(stderr::let_go);
}
