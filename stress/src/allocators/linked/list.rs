//! The classic allocator: [`ListHeap`], with a witness in its critical sections.

use drystone::{FutexLock, ListHeap};
use drystone_checker::witness::Witness;

use crate::allocators::linked::place::{Place, target};
use crate::allocators::linked::watched::Watched;
use crate::allocators::process::Subject;
use crate::inject::faulty_os::Refusable;

/// The classic allocator.
pub const LIST: Subject = Subject {
    name: "list",
    about: "drystone::ListHeap, linked in: best fit, one mutex",
    open: || Ok(target::<ListPlace>()),
};

struct ListPlace;

static WITNESS: Witness = Witness::new();
static HEAP: ListHeap<Refusable, Watched, FutexLock> =
    ListHeap::with_parts(Refusable, Watched(&WITNESS), FutexLock::new());

impl Place for ListPlace {
    type Heap = ListHeap<Refusable, Watched, FutexLock>;

    const REFUSABLE: bool = true;
    const ACCOUNTS: bool = true;

    fn heap() -> &'static Self::Heap {
        &HEAP
    }

    fn witness() -> Option<&'static Witness> {
        Some(&WITNESS)
    }
}
