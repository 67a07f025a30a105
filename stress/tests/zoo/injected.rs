//! Heaps that lose something when the OS fails: what is asked of linked heaps under failures, and
//! nothing else, shows it.

use drystone::ListHeap;
use drystone::internals::{Engine, FutexLock, Os};
use drystone_checker::witness::Witness;
use drystone_stress::allocators::linked::Watchable;
use drystone_stress::allocators::linked::place::{self, Place};
use drystone_stress::allocators::linked::watched::Watched;
use drystone_stress::allocators::process::AllocatorEntry;
use drystone_stress::inject::faulty_os::FaultyOs;

/// The OS that can fail, behind a heap that maps so much for nobody whenever it does. With 0 it
/// is sound.
pub struct Losing(usize);

impl Losing {
    fn lose(&self, given: *mut u8) -> *mut u8 {
        if given.is_null() && self.0 > 0 {
            FaultyOs.map(self.0);
        }
        given
    }
}

// SAFETY: passes on what the other gives, or null, which says that there is none.
unsafe impl Os for Losing {
    fn map(&self, bytes: usize) -> *mut u8 {
        self.lose(FaultyOs.map(bytes))
    }

    unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: the mapping is the caller's, and nobody uses it any more.
        unsafe { FaultyOs.unmap(start, bytes) }
    }

    unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        // SAFETY: `start` and `old` are a mapping of the caller's, which gives it up for the
        // result.
        unsafe { FaultyOs.remap(start, old, new, may_move) }
    }

    fn reserve(&self, bytes: usize, align: usize) -> *mut u8 {
        self.lose(FaultyOs.reserve(bytes, align))
    }

    unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: the pages are the caller's, and nobody needs what is in them.
        unsafe { FaultyOs.decommit(start, bytes) }
    }

    fn entropy(&self) -> u64 {
        FaultyOs.entropy()
    }
}

/// An OS of which nothing is seen, under a heap that says its OS can fail.
type Unseen = drystone::internals::Mmap;

const PAGE: usize = 4096;

macro_rules! places {
    ($($name:literal => $place:ident, $heap:ty = $make:expr, accounts $accounts:literal;)*) => {
        $(
            struct $place;

            impl $place {
                const WITNESS: &'static Witness = {
                    static WITNESS: Witness = Witness::new();
                    &WITNESS
                };
            }

            impl Place for $place {
                type Heap = $heap;

                const OS_CAN_FAIL: bool = true;
                const ACCOUNTS: bool = $accounts;

                fn heap() -> &'static Self::Heap {
                    static HEAP: $heap = $make;
                    &HEAP
                }

                fn witness() -> Option<&'static Witness> {
                    Some(Self::WITNESS)
                }
            }
        )*

        /// All of them.
        pub const ALLOCATORS: &[AllocatorEntry] = &[$(
            AllocatorEntry {
                name: $name,
                about: "its OS fails",
                open: || Ok(place::allocator::<$place>()),
            },
        )*];
    };
}

type List<O> = ListHeap<O, Watched, FutexLock>;
type Whole<O> = Watchable<O, Watched, FutexLock>;

places! {
    "list-loses-none" => ListSound, List<Losing> =
        ListHeap::with_parts(Losing(0), Watched(ListSound::WITNESS), FutexLock::new()),
        accounts true;
    "list-loses-a-page" => ListLoses, List<Losing> =
        ListHeap::with_parts(Losing(PAGE), Watched(ListLoses::WITNESS), FutexLock::new()),
        accounts true;
    "engine-loses-mebibytes" => EngineLoses, Whole<Losing> =
        // SAFETY: a static, and a child serves one allocator.
        unsafe {
            let witness = Watched(EngineLoses::WITNESS);
            Watchable::new(Engine::with_parts(Losing(16 << 20), witness, FutexLock::new()))
        }, accounts false;
    "fails-unseen" => FailsUnseen, List<Unseen> =
        ListHeap::with_parts(Unseen {}, Watched(FailsUnseen::WITNESS), FutexLock::new()),
        accounts false;
}
