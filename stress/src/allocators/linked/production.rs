//! The production allocator under test, twice: as programs have it, and its engine under
//! watch.
//!
//! [`Drystone`] is what is shipped: its fast paths, its thread-local words, its thread ends and
//! fork handlers. It has no probe. The engine under it takes one, so here it stands a second time,
//! with the witness in its critical sections and yields between its checks and stores; a thread's
//! heap is claimed at the thread's first call and left at its end.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use drystone::internals::engine::Heap;
use drystone::internals::{Engine, FutexLock, Os, Probe, RawLock};
use drystone::policy::{self, Policy};
use drystone::{Broken, Drystone, Misuse, Stats};
use drystone_checker::witness::Witness;
use drystone_harness::exit;

use crate::allocators::linked::heap::{Linked, own_methods};
use crate::allocators::linked::place::{Place, allocator};
use crate::allocators::linked::watched::Watched;
use crate::allocators::process::AllocatorEntry;
use crate::inject::faulty_os::{self, FaultyOs};
use crate::model::message::{self, Message};

/// The production allocator.
pub const DRYSTONE: AllocatorEntry = AllocatorEntry {
    name: "linked:drystone",
    about: "drystone::Drystone: the production allocator as Rust programs have it",
    open: || {
        // What is reported at a thread's end goes to the policy, which would end the process.
        policy::set(Policy::Ignore);
        Ok(allocator::<Global>())
    },
};

/// The engine of the production allocator, with a witness inside.
pub const ENGINE: AllocatorEntry = AllocatorEntry {
    name: "linked:engine",
    about: "its engine, watched: a witness in its critical sections, yields between check and \
            store",
    open: || Ok(allocator::<Watching>()),
};

struct Global;

impl Place for Global {
    type Heap = Drystone;

    fn heap() -> &'static Drystone {
        &Drystone
    }

    /// It has no critical section that can be watched.
    fn witness() -> Option<&'static Witness> {
        None
    }
}

impl Linked for Drystone {
    own_methods!();

    /// Its first allocation has registered its own handlers with the C library, which every fork
    /// calls.
    fn survives_forks(&self) -> bool {
        true
    }
}

struct Watching;

static WITNESS: Witness = Witness::new();
static HEAP: Watchable<FaultyOs, Watched, FutexLock> =
    // SAFETY: a static, and a child serves one allocator.
    unsafe {
        Watchable::new(Engine::with_parts(FaultyOs, Watched(&WITNESS), FutexLock::new()))
    };

impl Place for Watching {
    type Heap = Watchable<FaultyOs, Watched, FutexLock>;

    fn heap() -> &'static Self::Heap {
        &HEAP
    }

    fn witness() -> Option<&'static Witness> {
        Some(&WITNESS)
    }

    const DEFERS_REPORTS: bool = true;
    const OS_CAN_FAIL: bool = true;
}

/// An engine of any parts behind the heap's methods: each thread's heap is claimed at its first
/// call, and left to others at its end.
#[allow(missing_debug_implementations, reason = "an engine has none")]
pub struct Watchable<O: Os, P: Probe, L: RawLock>(Engine<O, P, L>);

/// The calling thread's part of the process's one [`Watchable`].
#[derive(Clone, Copy)]
struct Claimed {
    /// Addresses of the engine and of the heap that the thread has claimed of it; 0 when it has
    /// none.
    engine: usize,
    heap: usize,
}

const NOTHING: Claimed = Claimed { engine: 0, heap: 0 };

thread_local! {
    // No destructors and constant starts, so that they can be read and written while the thread
    // ends.
    static CLAIMED: Cell<Claimed> = const { Cell::new(NOTHING) };
    /// The thread has left its heap, and has one for each call.
    static GONE: Cell<bool> = const { Cell::new(false) };
}

/// The key whose destructor, `leave`, leaves the thread's heap to others when the thread ends. A
/// key, as `Drystone` has one, and no thread-local variable's destructor: a thread whose first call
/// comes in a key's destructor is too late for those.
fn key(leave: unsafe extern "C" fn(*mut c_void)) -> libc::pthread_key_t {
    static KEY: OnceLock<libc::pthread_key_t> = OnceLock::new();
    *KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: `key` is writable; the destructor takes whatever is set for the key.
        let made = unsafe { libc::pthread_key_create(&raw mut key, Some(leave)) };
        assert_eq!(made, 0, "the system gives a key");
        key
    })
}

impl<O: Os, P: Probe, L: RawLock> Watchable<O, P, L> {
    /// The engine, ready to serve.
    ///
    /// # Safety
    /// The value becomes a `static`, or lives as long as one, and is the only one of the process
    /// that is used: a thread has room for the heap of one.
    pub const unsafe fn new(engine: Engine<O, P, L>) -> Self {
        Self(engine)
    }

    /// Calls `f` with the calling thread's heap: its own, or, once the thread's end has begun, one
    /// for this call alone. None when there is no memory for one.
    fn with_heap<R>(&self, f: impl FnOnce(&Heap) -> R) -> Option<R> {
        let own = CLAIMED.get().heap;
        if own != 0 {
            // SAFETY: the address of a heap that this thread has claimed of the process's one
            // engine and not released, for whoever does that clears the word. Heaps live as long as
            // the engine.
            return Some(f(unsafe { &*ptr::with_exposed_provenance(own) }));
        }
        let heap = self.0.claim()?;
        if !GONE.get() {
            let engine = ptr::from_ref(&self.0).expose_provenance();
            CLAIMED.set(Claimed { engine, heap: ptr::from_ref(heap).expose_provenance() });
            // Neither may show in `errno`, which the checker looks at.
            drystone::internals::errno::kept(|| {
                // SAFETY: the key exists; the value is not null. Without memory for it the heap is
                // never left, as that of a thread that never ends.
                unsafe {
                    libc::pthread_setspecific(key(leave::<O, P, L>), ptr::from_ref(heap).cast())
                }
            });
            return Some(f(heap));
        }
        let result = f(heap);
        // SAFETY: claimed above, by this thread, and not used after this.
        unsafe { self.0.release(heap) };
        Some(result)
    }
}

extern "C" fn leave<O: Os, P: Probe, L: RawLock>(_heap: *mut c_void) {
    let claimed = CLAIMED.replace(NOTHING);
    GONE.set(true);
    if claimed.heap == 0 {
        return;
    }
    // SAFETY: both addresses were exposed by `with_heap` of the same parts, of an engine that lives
    // as long as a static; the calling thread claimed the heap, and has just forgotten it.
    unsafe {
        let engine = &*ptr::with_exposed_provenance::<Engine<O, P, L>>(claimed.engine);
        engine.release(&*ptr::with_exposed_provenance::<Heap>(claimed.heap));
    }
}

/// What a walk over the heap has seen; it takes a heap of the calling thread's. Where none can be
/// had, nothing was looked at, and nothing is known of the allocator: that is not the same as
/// nothing found.
fn looked<R>(seen: Option<R>) -> R {
    seen.unwrap_or_else(|| {
        let why = "there is no memory for a heap to look at the engine with, so that nothing is \
                   known of it; give the process more memory"
            .to_owned();
        message::send(&Message::Rejected { why });
        exit::now(exit::FAILED)
    })
}

impl<O: Os + Sync, P: Probe + Sync, L: RawLock + Sync> Linked for Watchable<O, P, L> {
    fn malloc(&self, size: usize) -> *mut u8 {
        self.malloc_aligned(size, 16)
    }

    fn calloc(&self, count: usize, size: usize) -> *mut u8 {
        let Some(bytes) = count.checked_mul(size) else { return ptr::null_mut() };
        // SAFETY: the heap is the calling thread's for the time of the call.
        let block = self.with_heap(|heap| unsafe { self.0.malloc_zeroed(heap, bytes, 16) });
        block.unwrap_or(ptr::null_mut())
    }

    fn malloc_aligned(&self, size: usize, alignment: usize) -> *mut u8 {
        // As `Drystone` does it: 16 bytes are the least.
        let alignment = if alignment.is_power_of_two() { alignment.max(16) } else { alignment };
        // SAFETY: the heap is the calling thread's for the time of the call.
        let block = self.with_heap(|heap| unsafe { self.0.malloc(heap, size, alignment) });
        block.unwrap_or(ptr::null_mut())
    }

    unsafe fn try_free(&self, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: the heap is the calling thread's for the time of the call; of the block, the
        // caller's. As `Drystone` does it: without memory for a heap it marks the block, for the
        // next owner to find.
        self.with_heap(|heap| unsafe { self.0.try_free(heap, block) })
            .unwrap_or_else(|| unsafe { self.0.free_without_heap(block) })
    }

    unsafe fn try_realloc(&self, block: *mut u8, size: usize) -> Result<*mut u8, Misuse> {
        if size == 0 && !block.is_null() {
            // SAFETY: the caller gives `block` up to realloc, as it would to free.
            return unsafe { self.try_free(block) }.map(|()| ptr::null_mut());
        }
        // SAFETY: the heap is the calling thread's for the time of the call; of the block, the
        // caller's.
        self.with_heap(|heap| unsafe { self.0.try_realloc(heap, block, size, 16) })
            .unwrap_or(Ok(ptr::null_mut()))
    }

    fn usable_size(&self, block: *mut u8) -> Result<usize, Misuse> {
        self.0.usable_size(block)
    }

    fn stats(&self) -> Stats {
        self.0.stats()
    }

    fn check(&self) -> Result<(), Broken> {
        // SAFETY: the heap is the calling thread's for the time of the call.
        let checked = self.with_heap(|heap| unsafe { self.0.check(heap) });
        looked(checked)
    }

    fn sweep(&self) -> usize {
        // SAFETY: the heap is the calling thread's for the time of the call.
        looked(self.with_heap(|heap| unsafe { self.0.sweep_all(heap, |_| {}) }))
    }

    fn survives_forks(&self) -> bool {
        true
    }

    fn fork_prepare(&self) {
        self.0.fork_prepare();
    }

    unsafe fn fork_parent(&self) {
        // SAFETY: this thread has called `fork_prepare`, and this is the parent.
        unsafe { self.0.fork_parent() }
    }

    unsafe fn fork_child(&self) {
        // SAFETY: the thread that forked has called `fork_prepare`, and this is the child.
        unsafe { self.0.fork_child() }
    }

    fn trim(&self) -> usize {
        // SAFETY: the heap is the calling thread's for the time of the call.
        match self.with_heap(|heap| unsafe { self.0.trim(heap) }) {
            // It failed, which is an answer: there is nothing of this thread's.
            None if faulty_os::armed() => 0,
            trimmed => looked(trimmed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::{env, thread};

    use drystone::MisuseKind;
    use drystone::internals::{Mmap, NoProbe};

    use super::*;

    static STARVED: AtomicBool = AtomicBool::new(false);

    /// Gives nothing more when it is starved, and takes everything.
    struct Starving;

    // SAFETY: passes on what the kernel gives, or null, which says that there is none.
    unsafe impl Os for Starving {
        fn map(&self, bytes: usize) -> *mut u8 {
            if STARVED.load(Ordering::Relaxed) { ptr::null_mut() } else { Mmap.map(bytes) }
        }

        unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
            // SAFETY: the mapping is the caller's, and nobody uses it any more.
            unsafe { Mmap.unmap(start, bytes) }
        }

        unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
            // SAFETY: `start` and `old` are a mapping of the caller's, which gives it up for the
            // result.
            unsafe { Mmap.remap(start, old, new, may_move) }
        }

        fn reserve(&self, bytes: usize, align: usize) -> *mut u8 {
            if STARVED.load(Ordering::Relaxed) {
                return ptr::null_mut();
            }
            Mmap.reserve(bytes, align)
        }

        unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool {
            // SAFETY: the pages are the caller's, and nobody needs what is in them.
            unsafe { Mmap.decommit(start, bytes) }
        }

        fn entropy(&self) -> u64 {
            Mmap.entropy()
        }
    }

    static HEAP: Watchable<Starving, NoProbe, FutexLock> =
        // SAFETY: a static; the tests of this process that use it are one at a time, in threads of
        // their own.
        unsafe { Watchable::new(Engine::with_parts(Starving, NoProbe, FutexLock::new())) };

    /// Calls `f` in a thread that can get no heap.
    fn without_a_heap(f: impl FnOnce() + Send) {
        STARVED.store(true, Ordering::Relaxed);
        // What is left in the chunk that heaps are cut from.
        while HEAP.0.claim().is_some() {}
        thread::scope(|scope| {
            scope.spawn(|| {
                assert!(HEAP.with_heap(|_| ()).is_none());
                f();
            });
        });
        STARVED.store(false, Ordering::Relaxed);
    }

    const CHILD: &str = "STRESS_LOOKS_WITHOUT_A_HEAP";

    #[test]
    fn a_thread_without_a_heap_frees_all_the_same_and_does_not_look_away() {
        if env::var_os(CHILD).is_some() {
            without_a_heap(|| {
                let _ = HEAP.check();
            });
            return;
        }
        let block = HEAP.malloc(100).expose_provenance();
        without_a_heap(|| {
            let block = ptr::with_exposed_provenance_mut(block);
            // SAFETY: the block is live, and used by nobody; then it is not, which is what is
            // asked.
            let freed = unsafe { [HEAP.try_free(block), HEAP.try_free(block)] };
            assert_eq!(freed[0], Ok(()));
            assert_eq!(freed[1].unwrap_err().kind, MisuseKind::DoubleFree);
        });
        assert_eq!(HEAP.sweep(), 0);
        assert_eq!((HEAP.stats().live_blocks, HEAP.check()), (0, Ok(())));
        // A check that can't be made ends the process, with a sentence.
        let name = thread::current().name().unwrap().to_owned();
        let output = Command::new(env::current_exe().unwrap())
            .args([&name, "--exact", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(i32::from(exit::FAILED)), "{said}");
        assert!(said.contains("no memory for a heap to look at the engine with"), "{said}");
    }
}
