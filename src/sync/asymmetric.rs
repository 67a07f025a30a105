//! A fence in other threads, which pays where those would need theirs often.

#[cfg(loom)]
use super::atomic::{Ordering, fence};

/// The rare half of a full fence of two threads; the other is
/// [`asymmetric_fence_light`](super::asymmetric_fence_light). It is a full fence here and in each
/// other thread of the process, wherever that stands just now. False where the kernel has no such
/// call, or does not allow it: then nothing is fenced.
#[cfg(not(loom))]
#[cold]
pub(crate) fn asymmetric_fence_heavy() -> bool {
    const PRIVATE_EXPEDITED: i32 = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;
    // SAFETY: membarrier(2) takes a command and two zeroes, and touches no memory.
    let ask = |command: i32| unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 };
    // A process must have said once that it will ask; a forked child again.
    crate::errno::kept(|| {
        ask(PRIVATE_EXPEDITED) || ask(REGISTER_PRIVATE_EXPEDITED) && ask(PRIVATE_EXPEDITED)
    })
}

/// As above, modelled: the half that is taken often is a whole one there.
#[cfg(loom)]
#[track_caller]
pub(crate) fn asymmetric_fence_heavy() -> bool {
    fence(Ordering::SeqCst);
    true
}
