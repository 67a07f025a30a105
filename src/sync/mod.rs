//! Everything about threads that loom must see: atomics, the futex, the cell that a heap's state
//! lives in, and the mutex over it. Under `--cfg loom` the same code runs on loom's types.
//!
//! The library takes its atomics from here and from nowhere else, except [`crate::policy`] and
//! [`crate::process`], whose state is the process's and decides no block's fate.

mod atomic;
mod cell;
pub mod fault;
mod futex;
mod lock;
#[cfg(loom)]
pub mod modelled;
mod others;

pub use cell::Cell;
pub use futex::Futex;
pub use lock::{FutexLock, FutexLockWith, Holder, RawLock, this_thread};

pub(crate) use atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Hint, Ordering,
    const_unless_loom, fence, fence_after_rmw, fence_by_others, fence_for_the_compiler, look_again,
    step,
};
pub(crate) use others::fence_others;
