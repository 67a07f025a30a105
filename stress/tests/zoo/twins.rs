//! Faulty twins of the allocators: each is its allocator behind a check that two frees of one block
//! can both pass, when they race.
//!
//! | fault | the check | a race is lost |
//! |---|---|---|
//! | [`Race::Answers`] | the allocator's own, dropped while another free is under way | nearly always |
//! | [`Race::Torn`] | a look and a later store, which nothing holds together | some tens of ns wide |

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use drystone::internals::{FutexLock, Mmap};
use drystone::policy::{self, Policy};
use drystone::{BlockState, Broken, Drystone, Found, ListHeap, Misuse, MisuseKind, Stats};
use drystone_checker::witness::Witness;
use drystone_stress::allocators::linked::heap::Linked;
use drystone_stress::allocators::linked::place::{self, Place};
use drystone_stress::allocators::linked::watched::Watched;
use drystone_stress::allocators::process::AllocatorEntry;

/// How a race is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Race {
    /// Not at all: the torn check in one piece. The twin itself must not be what is found.
    None,
    Answers,
    Torn,
}

/// An allocator with a race of two frees.
pub struct Twin {
    heap: &'static dyn Linked,
    race: Race,
    /// Frees that have begun and not ended.
    under_way: AtomicUsize,
    /// What is live, for the torn check.
    live: Mutex<Option<HashSet<usize>>>,
    /// The torn twin's allocator is used by one thread at a time, so that it sees no race itself.
    one_at_a_time: Mutex<()>,
    /// What holds look and store together where they are not torn.
    whole: Mutex<()>,
}

/// To wait for a lock must not show in `errno`, which the checker looks at.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    drystone::internals::errno::kept(|| mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

fn double_free(block: *mut u8) -> Misuse {
    Misuse {
        kind: MisuseKind::DoubleFree,
        address: block.addr(),
        size: None,
        state: BlockState::Free,
        found: Found::AtCall,
    }
}

impl Twin {
    const fn new(heap: &'static dyn Linked, race: Race) -> Self {
        Self {
            heap,
            race,
            under_way: AtomicUsize::new(0),
            live: Mutex::new(None),
            one_at_a_time: Mutex::new(()),
            whole: Mutex::new(()),
        }
    }

    fn allocated(&self, block: *mut u8) -> *mut u8 {
        if self.race != Race::Answers && !block.is_null() {
            locked(&self.live).get_or_insert_default().insert(block.addr());
        }
        block
    }

    /// # Safety
    /// As [`Linked::try_free`].
    unsafe fn free_torn(&self, block: *mut u8) -> Result<(), Misuse> {
        let _whole = (self.race == Race::None).then(|| locked(&self.whole));
        // The fault: whoever looks now ...
        if !locked(&self.live).get_or_insert_default().contains(&block.addr()) {
            return Err(double_free(block));
        }
        // ... may not be alone when it stores.
        locked(&self.live).get_or_insert_default().remove(&block.addr());
        let _one = locked(&self.one_at_a_time);
        // SAFETY: the caller's. That the block may be free by now is for the allocator to say, and
        // is dropped here.
        let _ = unsafe { self.heap.try_free(block) };
        Ok(())
    }
}

impl Linked for Twin {
    fn malloc(&self, size: usize) -> *mut u8 {
        self.allocated(self.heap.malloc(size))
    }

    fn calloc(&self, count: usize, size: usize) -> *mut u8 {
        self.allocated(self.heap.calloc(count, size))
    }

    fn malloc_aligned(&self, size: usize, alignment: usize) -> *mut u8 {
        self.allocated(self.heap.malloc_aligned(size, alignment))
    }

    unsafe fn try_free(&self, block: *mut u8) -> Result<(), Misuse> {
        if self.race != Race::Answers {
            // SAFETY: `block` is live and given up, or the heap rejects it.
            return unsafe { self.free_torn(block) };
        }
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        // SAFETY: `block` is live and given up, or the heap rejects it.
        let freed = unsafe { self.heap.try_free(block) };
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        if others > 0 { Ok(()) } else { freed }
    }

    unsafe fn try_realloc(&self, block: *mut u8, size: usize) -> Result<*mut u8, Misuse> {
        // SAFETY: `block` is live and given up for the result, or the heap rejects it.
        let moved = unsafe { self.heap.try_realloc(block, size) }?;
        if self.race != Race::Answers && (!moved.is_null() || size == 0) && moved != block {
            locked(&self.live).get_or_insert_default().remove(&block.addr());
        }
        Ok(self.allocated(moved))
    }

    fn usable_size(&self, block: *mut u8) -> Result<usize, Misuse> {
        self.heap.usable_size(block)
    }

    fn stats(&self) -> Stats {
        self.heap.stats()
    }

    fn check(&self) -> Result<(), Broken> {
        self.heap.check()
    }

    fn sweep(&self) -> usize {
        self.heap.sweep()
    }

    fn trim(&self) -> usize {
        self.heap.trim()
    }
}

static WITNESS: Witness = Witness::new();
static LIST: ListHeap<Mmap, Watched, FutexLock> =
    ListHeap::with_parts(Mmap, Watched(&WITNESS), FutexLock::new());
static DRYSTONE: Drystone = Drystone;

macro_rules! twins {
    ($($name:literal => $place:ident, $heap:expr, watched $watched:literal, $race:expr;)*) => {
        $(
            struct $place;

            impl Place for $place {
                type Heap = Twin;

                fn heap() -> &'static Twin {
                    static TWIN: Twin = Twin::new(&$heap, $race);
                    &TWIN
                }

                fn witness() -> Option<&'static Witness> {
                    $watched.then_some(&WITNESS)
                }
            }
        )*

        /// All of them, the sound ones last.
        pub const ALLOCATORS: &[AllocatorEntry] = &[$(
            AllocatorEntry {
                name: $name,
                about: "its allocator, with a race of two frees",
                open: || {
                    policy::set(Policy::Ignore);
                    Ok(place::allocator::<$place>())
                },
            },
        )*];
    };
}

twins! {
    "list-answers" => ListAnswers, LIST, watched true, Race::Answers;
    "list-torn" => ListTorn, LIST, watched true, Race::Torn;
    "drystone-answers" => DrystoneAnswers, DRYSTONE, watched false, Race::Answers;
    "drystone-torn" => DrystoneTorn, DRYSTONE, watched false, Race::Torn;
    "list-sound" => ListSound, LIST, watched true, Race::None;
    "drystone-sound" => DrystoneSound, DRYSTONE, watched false, Race::None;
}
