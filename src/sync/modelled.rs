//! Atomics under loom: loom's own, and a remedy for orders that it forgets.
//!
//! Loom 0.7 keeps one last access of each atomic. Where a thread loads and then stores, as every
//! compare-and-exchange after a look does, its own load hides another thread's load before it: the
//! order in which the store comes first is never explored. (The test
//! `a_load_before_a_store_hides_no_order` in `tests/loom` shows it: without what stands here the
//! model has one schedule.)
//!
//! So each atomic here has a mark for each thread that loads it: an object of loom's that carries
//! no synchronisation, and any two touches of which conflict. A load touches its thread's mark. A
//! store touches the marks of all others that loaded since the last store, where loom itself has
//! forgotten them.

use core::cell::Cell;

use loom::sync::Condvar;
use loom::sync::atomic::Ordering;
use loom::thread::{self, ThreadId};

/// Loom's limit, less the first thread's place that is among them.
const THREADS: usize = 5;

/// The variable that names one line of the source, as `engine/free.rs:66`: its ordering is relaxed,
/// or its fence none.
pub const WEAKENED: &str = "DRYSTONE_LOOM_WEAKENED";

/// `ordering`, or relaxed where the caller's line is the one that [`WEAKENED`] names.
#[track_caller]
pub(crate) fn weakened(ordering: Ordering) -> Ordering {
    static LINE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let caller = core::panic::Location::caller();
    match LINE.get_or_init(|| std::env::var(WEAKENED).ok()) {
        Some(line)
            if caller.file().ends_with(line.split(':').next().unwrap_or_default())
                && line.ends_with(&format!(":{}", caller.line())) =>
        {
            Ordering::Relaxed
        }
        _ => ordering,
    }
}

/// A thread that has loaded, and its mark: a condition that nobody waits for.
struct Loader {
    thread: ThreadId,
    mark: Condvar,
    /// It has loaded since the last store.
    since: Cell<bool>,
}

/// Who has loaded an atomic.
struct Loaders {
    /// Filled from the front, never emptied.
    all: [core::cell::OnceCell<Loader>; THREADS],
    /// Who loaded last; loom knows that one. An index.
    last: Cell<usize>,
}

// SAFETY: loom runs one thread at a time, and switches only inside its own calls: what is here is
// never touched by two at once, nor is a borrow of it held across a switch but of what never moves.
unsafe impl Sync for Loaders {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Loaders {}

impl Loaders {
    fn new() -> Loaders {
        Loaders { all: Default::default(), last: Cell::new(THREADS) }
    }

    /// The calling thread is about to load.
    fn load(&self) {
        let me = thread::current().id();
        for (index, place) in self.all.iter().enumerate() {
            let make = || Loader { thread: me, mark: Condvar::new(), since: Cell::new(false) };
            let loader = place.get_or_init(make);
            if loader.thread == me {
                loader.mark.notify_one();
                loader.since.set(true);
                self.last.set(index);
                return;
            }
        }
    }

    /// The calling thread is about to store.
    fn store(&self) {
        let me = thread::current().id();
        for (index, place) in self.all.iter().enumerate() {
            let Some(loader) = place.get() else { break };
            if loader.since.replace(false) && loader.thread != me && self.last.get() != index {
                loader.mark.notify_one();
            }
        }
        self.last.set(THREADS);
    }
}

macro_rules! atomic {
    ($name:ident$(<$parameter:ident>)?, $value:ty) => {
        /// As core's.
        pub struct $name$(<$parameter>)? {
            atomic: loom::sync::atomic::$name$(<$parameter>)?,
            loaders: Loaders,
        }

        impl$(<$parameter>)? $name$(<$parameter>)? {
            /// As core's.
            pub fn new(value: $value) -> Self {
                Self { atomic: loom::sync::atomic::$name::new(value), loaders: Loaders::new() }
            }

            /// As core's.
            #[track_caller]
            pub fn load(&self, ordering: Ordering) -> $value {
                self.loaders.load();
                self.atomic.load(weakened(ordering))
            }

            /// As core's.
            #[track_caller]
            pub fn store(&self, value: $value, ordering: Ordering) {
                self.loaders.store();
                self.atomic.store(value, weakened(ordering));
            }

            /// As core's.
            #[track_caller]
            #[allow(dead_code, reason = "not every type's is used")]
            pub fn swap(&self, value: $value, ordering: Ordering) -> $value {
                self.loaders.store();
                self.atomic.swap(value, weakened(ordering))
            }

            /// As core's.
            #[track_caller]
            #[allow(dead_code, reason = "not every type's is used")]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.loaders.store();
                self.atomic.compare_exchange(current, new, weakened(success), weakened(failure))
            }
        }

        impl$(<$parameter>)? core::fmt::Debug for $name$(<$parameter>)? {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

atomic!(AtomicBool, bool);
atomic!(AtomicU8, u8);
atomic!(AtomicU16, u16);
atomic!(AtomicU32, u32);
atomic!(AtomicUsize, usize);
atomic!(AtomicPtr<T>, *mut T);

impl AtomicUsize {
    /// As core's.
    #[track_caller]
    pub fn fetch_add(&self, value: usize, ordering: Ordering) -> usize {
        self.loaders.store();
        self.atomic.fetch_add(value, weakened(ordering))
    }
}
