//! The classic allocator: [`ListHeap`], with a witness in its critical sections.

use drystone::ListHeap;
use drystone::internals::FutexLock;
use drystone_checker::witness::Witness;

use crate::allocators::linked::place::{Place, allocator};
use crate::allocators::linked::watched::Watched;
use crate::allocators::process::AllocatorEntry;
use crate::inject::faulty_os::FaultyOs;

/// The classic allocator.
pub const LIST: AllocatorEntry = AllocatorEntry {
    name: "linked:list",
    about: "drystone::ListHeap: best fit, one mutex",
    open: || Ok(allocator::<ListPlace>()),
};

struct ListPlace;

static WITNESS: Witness = Witness::new();
static HEAP: ListHeap<FaultyOs, Watched, FutexLock> =
    ListHeap::with_parts(FaultyOs, Watched(&WITNESS), FutexLock::new());

impl Place for ListPlace {
    type Heap = ListHeap<FaultyOs, Watched, FutexLock>;

    const OS_CAN_FAIL: bool = true;
    const ACCOUNTS: bool = true;

    fn heap() -> &'static Self::Heap {
        &HEAP
    }

    fn witness() -> Option<&'static Witness> {
        Some(&WITNESS)
    }
}
