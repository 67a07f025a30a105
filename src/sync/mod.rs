//! Everything about threads that loom must see: atomics, the futex, the cell that a heap's state
//! lives in, and the mutex over it. Under `--cfg loom` the same code runs on loom's types.
//!
//! The library takes its atomics from here and from nowhere else, except [`crate::policy`] and
//! [`crate::process`], whose state is the process's and decides no block's fate.

mod asymmetric;
mod atomic;
mod cell;
pub mod fault;
mod futex;
mod lock;
#[cfg(loom)]
pub mod modelled;

pub use cell::Cell;
pub use futex::Futex;
pub use lock::{FutexLock, FutexLockWith, Holder, RawLock, this_thread};

pub(crate) use asymmetric::asymmetric_fence_heavy;
pub(crate) use atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering, RelaxedWord,
    asymmetric_fence_light, const_unless_loom, fence, fence_after_rmw, fence_for_the_compiler,
    look_again, step,
};
