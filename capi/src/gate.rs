//! Counting calls, when `DRYSTONE_STATS` asks for it. Otherwise it costs nothing: the fast paths of malloc
//! and free do not come here, and when calls are to be counted the engine is told to send every call the
//! slow way ([`Drystone::divert`](engine::Drystone::divert)).

use core::sync::atomic::{AtomicBool, Ordering};

use crate::counts::{self, Function};
use crate::fork;
use crate::heap::HEAP;

/// Relaxed: no data is published through it.
static COUNTING: AtomicBool = AtomicBool::new(false);

/// Called first thing by every slow way in.
#[inline]
pub fn pass(function: Function) {
    if COUNTING.load(Ordering::Relaxed) {
        counts::add(function);
    }
}

/// Whether calls are counted.
pub fn counts() -> bool {
    COUNTING.load(Ordering::Relaxed)
}

/// From now on calls are counted, and the time that the span lock is held. Before there are threads.
pub fn count() {
    COUNTING.store(true, Ordering::Relaxed);
    HEAP.divert();
    HEAP.engine().time_lock();
    fork::register();
}
