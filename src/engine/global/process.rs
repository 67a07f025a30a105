//! The process's start, fork and exit, and a thread's first call and its last: whose heap a call
//! means.

use core::ptr;

use crate::engine::engine::Engine;
use crate::engine::global::fast::{DIVERTED, Drystone, ENGINE};
use crate::engine::global::tls::{self, EMPTY, GONE};
use crate::engine::heap::Heap;
use crate::engine::quarantine::QUARANTINE;
use crate::misuse::Misuse;
use crate::policy;
use crate::process::{calls, environment, figures, stderr};
use crate::sync::{AtomicUsize, Cell, FutexLock, Ordering, RawLock};

/// The start of the process's part: see [`start`].
static START: Start = Start {
    lock: FutexLock::new(),
    state: Cell::new(Started { done: false, read: false, key: 0 }),
    under_way: AtomicUsize::new(0),
};

struct Start {
    lock: FutexLock,
    state: Cell<Started>,
    /// The thread that is at it, by `pthread_self`, or 0. Relaxed: it equals a thread's own name
    /// only if that thread wrote it.
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

impl Drystone {
    /// The engine, for what only some programs ask: its parts' figures.
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
    pub fn judge(&self) {
        // A program that never allocated is left without a heap.
        if ENGINE.has_heaps() {
            QUARANTINE.verify(&ENGINE);
            self.sweep(policy::misuse);
        }
    }

    /// Registers the handlers for fork and exit that the first allocation would else register. For
    /// a library's start-up: handlers that the program registers before it allocates must come
    /// after these, for fork's first handlers are called last, and the engine's locks must be taken
    /// last.
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

    /// Runs `f` with the calling thread's heap: its own, or, while the thread is torn down, one for
    /// this call. `None` when there is no memory for one.
    pub(super) fn with_heap<R>(&self, f: impl FnOnce(&Heap) -> R) -> Option<R> {
        match tls::own() {
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

/// Leaves the thread's heap to the next: the C library calls it when a thread ends. Each call that
/// the thread makes after that claims a heap for itself.
extern "C" fn end_thread(heap: *mut libc::c_void) {
    tls::set(ptr::from_ref(&EMPTY.0).expose_provenance(), GONE);
    // SAFETY: the value of the key is the heap that this thread claimed.
    unsafe { ENGINE.release(&*heap.cast::<Heap>()) };
    Drystone.report_late();
}

/// What the process needs once: a key whose destructor ends a thread, handlers for fork, one for
/// exit. Returns the key, or `None` when the C library has none left, or while this very call is
/// under way in this thread.
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
                // No memory for a handler: a fork under load, or a late misuse at exit, goes
                // unserved.
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

/// Whether every call goes the slow way: blocks wait, or calls are counted.
fn goes_slowly() -> bool {
    // Relaxed: as at `DIVERTED`.
    QUARANTINE.is_on() || DIVERTED.load(Ordering::Relaxed)
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
        // Relaxed: as at `DIVERTED`.
        DIVERTED.store(true, Ordering::Relaxed);
        ENGINE.time_lock();
    }
}

/// Judges what the exiting thread and the exited ones leave, and gives the figures that are asked
/// for. A process that ends otherwise than by `exit(3)` or the return of `main` does not come here.
extern "C" fn at_exit() {
    Drystone.judge();
    if let Some(sink) = figures::sink() {
        Drystone.account().give(&ENGINE, sink);
    }
}

// The locks, in the order in which they may be held together: each may be taken while those before
// it are held.

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
    let own = tls::own();
    // SAFETY: the C library calls it in the child's only thread, the copy of the one that came from
    // `fork_prepare`; which is not in the middle of a call, and so has no other heap than its own.
    unsafe {
        ENGINE.fork_child(|heap| heap.addr() == own);
        QUARANTINE.lock().fork_child();
        START.lock.fork_child();
    }
    calls::reset();
    crate::errno::kept(stderr::let_go);
}
